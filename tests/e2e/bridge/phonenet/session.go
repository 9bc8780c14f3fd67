// Sessions are devices linked to an account, such as bridge logins. A session gets its account's
// events while it is connected; other events wait for it.

package phonenet

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ConnectionState says whether a session can talk to the network.
type ConnectionState string

// The states of a connection.
const (
	Connected    ConnectionState = "connected"
	Connecting   ConnectionState = "connecting"
	Disconnected ConnectionState = "disconnected" // for now: the network tries again by itself
	Failed       ConnectionState = "error"        // for an unknown reason
	LoggedOut    ConnectionState = "logged_out"   // for good
)

// Connection is the state of a connection, and why.
type Connection struct {
	State   ConnectionState `json:"state"`
	Reason  string          `json:"reason,omitempty"`  // a short code
	Message string          `json:"message,omitempty"` // for people
}

var unreachable = Connection{State: Disconnected, Reason: "network-unreachable", Message: ErrUnreachable.Error()}

// Session is a linked device. Its JSON fields survive a restart.
type Session struct {
	Token    string    `json:"token"`
	Account  string    `json:"account"`
	LinkedAt time.Time `json:"linked_at"`

	network    *Network
	connection Connection
	signals    []Event // changes of the connection: always delivered, and first
	queue      []Event
	attached   *attachment
}

type attachment struct {
	handle func(Event)
	wake   chan struct{}
	stop   chan struct{}
	done   chan struct{}
}

func (n *Network) sessionOf(account string) *Session {
	for _, session := range n.sessions {
		if session.Account == account {
			return session
		}
	}
	return nil
}

// link makes a new session of the account. It silently ends an earlier one: the same device's.
func (n *Network) link(account *Account) (*Session, error) {
	if previous := n.sessionOf(account.ID); previous != nil {
		delete(n.sessions, previous.Token)
		if err := n.journal.write(recordSession, previous.Token, nil); err != nil {
			return nil, err
		}
	}
	session := &Session{Token: randomHex(16), Account: account.ID, LinkedAt: now(), network: n}
	session.connection = Connection{State: Connected}
	n.sessions[session.Token] = session
	n.notify()
	return session, n.journal.write(recordSession, session.Token, session)
}

// Attach connects a device. The handler gets the connection's state, then one event at a time.
func (n *Network) Attach(token string, handle func(Event)) (*Session, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	session, ok := n.sessions[token]
	if !ok {
		return nil, ErrLoggedOut
	}
	if session.attached != nil {
		return nil, errors.New("this session is in use already")
	}
	session.attached = &attachment{
		handle: handle, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	session.signals = nil
	if n.settings.Down {
		session.setConnection(unreachable)
	} else {
		session.setConnection(session.connection)
	}
	go session.deliver(session.attached)
	n.notify()
	return session, nil
}

// Detach disconnects a device and returns when its handler has returned.
func (s *Session) Detach() {
	s.network.mu.Lock()
	attached := s.attached
	s.attached = nil
	s.network.notify()
	s.network.mu.Unlock()
	if attached != nil {
		close(attached.stop)
		<-attached.done
	}
}

// Logout ends the session from the device's side.
func (s *Session) Logout() error {
	s.Detach()
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	delete(s.network.sessions, s.Token)
	s.network.notify()
	return s.network.journal.write(recordSession, s.Token, nil)
}

// deliver tells the handler what happened, in order, until the device is detached.
func (s *Session) deliver(to *attachment) {
	defer close(to.done)
	for {
		event, ok := s.next()
		if ok {
			to.handle(event)
			if event.Connection.State == LoggedOut {
				return
			}
		}
		select {
		case <-to.stop:
			return
		default:
		}
		if !ok {
			select {
			case <-to.wake:
			case <-to.stop:
				return
			}
		}
	}
}

func (s *Session) next() (event Event, ok bool) {
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	switch {
	case len(s.signals) > 0:
		event, s.signals = s.signals[0], s.signals[1:]
	case len(s.queue) > 0 && s.connection.State == Connected:
		event, s.queue = s.queue[0], s.queue[1:]
	default:
		return Event{}, false
	}
	return event, true
}

func (s *Session) enqueue(event Event) {
	s.queue = append(s.queue, event)
	s.wakeUp()
}

func (s *Session) setConnection(connection Connection) {
	s.connection = connection
	s.signals = append(s.signals, Event{Kind: EventConnection, At: now(), By: s.Account, Connection: connection})
	s.wakeUp()
}

func (s *Session) wakeUp() {
	if s.attached == nil {
		return
	}
	select {
	case s.attached.wake <- struct{}{}:
	default: // it is awake
	}
}

func (s *Session) revoke(message string) {
	delete(s.network.sessions, s.Token)
	s.setConnection(Connection{State: LoggedOut, Reason: "logged-out", Message: message})
}

// SetConnection changes the connection of an account's linked device. LoggedOut ends the session.
func (n *Network) SetConnection(identifier string, connection Connection) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return err
	}
	session := n.sessionOf(account.ID)
	if session == nil {
		return fmt.Errorf("%w: no device is linked to %s", ErrNotFound, account.ID)
	}
	switch connection.State {
	case Connected, Connecting, Disconnected, Failed:
		session.setConnection(connection)
	case LoggedOut:
		session.revoke(connection.Message)
		if err := n.journal.write(recordSession, session.Token, nil); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: there is no connection state %q", ErrInvalid, connection.State)
	}
	n.notify()
	return nil
}

// Device is a phone's view of its linked device.
type Device struct {
	LinkedAt   time.Time  `json:"linked_at"`
	Attached   bool       `json:"attached"` // a bridge has it in use
	Connection Connection `json:"connection"`
}

// Device returns the device that is linked to an account, or nil.
func (n *Network) Device(identifier string) (*Device, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return nil, err
	}
	session := n.sessionOf(account.ID)
	if session == nil {
		return nil, nil
	}
	return &Device{LinkedAt: session.LinkedAt, Attached: session.attached != nil, Connection: session.connection}, nil
}

// OutcomeKind says what the network does with a message that a linked device sends.
type OutcomeKind string

// The kinds of outcome.
const (
	OutcomeSuccess   OutcomeKind = "success"
	OutcomeRetriable OutcomeKind = "retriable" // refused for now
	OutcomePermanent OutcomeKind = "permanent" // refused for good
	OutcomeHold      OutcomeKind = "hold"      // no answer, until it is released
)

// Outcome is the network's reaction to a message of a linked device.
type Outcome struct {
	Kind    OutcomeKind `json:"outcome"`
	Reason  string      `json:"reason"`   // machine-readable, of a refusal
	Message string      `json:"message"`  // for people, of a refusal
	DelayMS int         `json:"delay_ms"` // before the answer
	Times   int         `json:"times"`    // how many messages it is for; 0 is 1
}

func (outcome Outcome) validate() error {
	switch outcome.Kind {
	case OutcomeSuccess, OutcomeRetriable, OutcomePermanent, OutcomeHold:
		return nil
	default:
		return fmt.Errorf("%w: there is no outcome %q", ErrInvalid, outcome.Kind)
	}
}

// Refusal is the error of a message that the network refused.
type Refusal struct {
	Permanent bool
	Reason    string
	Message   string
}

func (r *Refusal) Error() string {
	return r.Message
}

func (outcome Outcome) refusal() *Refusal {
	switch outcome.Kind {
	case OutcomeRetriable, OutcomePermanent:
	default:
		return nil
	}
	refusal := &Refusal{Permanent: outcome.Kind == OutcomePermanent, Reason: outcome.Reason, Message: outcome.Message}
	if refusal.Message == "" {
		refusal.Message = "the network refused the message"
	}
	return refusal
}

// SetOutcomes replaces the outcomes of the next messages from an account's linked device.
func (n *Network) SetOutcomes(identifier string, outcomes []Outcome) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return err
	}
	for i, outcome := range outcomes {
		if err := outcome.validate(); err != nil {
			return err
		}
		outcomes[i].Times = max(outcome.Times, 1)
	}
	account.outcomes = outcomes
	return nil
}

func (account *Account) nextOutcome() Outcome {
	if len(account.outcomes) == 0 {
		return Outcome{Kind: OutcomeSuccess}
	}
	outcome := account.outcomes[0]
	if account.outcomes[0].Times--; account.outcomes[0].Times == 0 {
		account.outcomes = account.outcomes[1:]
	}
	return outcome
}

// ready returns the account if the session is connected. The caller holds the lock.
func (s *Session) ready() (*Account, error) {
	if _, valid := s.network.sessions[s.Token]; !valid {
		return nil, ErrLoggedOut
	}
	if s.connection.State != Connected {
		return nil, ErrNotConnected
	}
	return s.network.accounts[s.Account], nil
}

// Ready tells why the session can't talk to the network, if it can't.
func (s *Session) Ready() error {
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	_, err := s.ready()
	return err
}

// Send sends a message; a refusal is a [*Refusal]. A Held message gets its answer later, by an
// [EventAnswer]. A repeat with the same id returns the message as it is.
func (s *Session) Send(ctx context.Context, draft Draft) (Message, error) {
	outcome, known, err := s.begin(draft.ID)
	if err != nil || known != nil {
		return messageOrNone(known), err
	}
	if err := pause(ctx, time.Duration(outcome.DelayMS)*time.Millisecond); err != nil {
		return Message{}, err
	}
	n := s.network
	n.mu.Lock()
	defer n.mu.Unlock()
	sender, err := s.ready()
	if err != nil {
		return Message{}, err
	}
	message, err := n.compose(sender, draft)
	if err != nil {
		return Message{}, err
	}
	message.Through = ThroughBridge
	if refusal := outcome.refusal(); refusal != nil {
		return Message{}, refusal
	}
	if outcome.Kind == OutcomeHold {
		message.Held = true
		n.messages[message.ID] = message
		n.timeline = append(n.timeline, message)
		n.notify()
		return *message.copy(), n.journal.write(recordMessage, message.ID, message)
	}
	return *message.copy(), n.accept(message, s.Token)
}

// begin returns the message's outcome, or the known message of that id.
func (s *Session) begin(id string) (outcome Outcome, known *Message, err error) {
	s.network.mu.Lock()
	defer s.network.mu.Unlock()
	sender, err := s.ready()
	if err != nil {
		return Outcome{}, nil, err
	}
	if known, ok := s.network.messages[id]; ok {
		return Outcome{}, known.copy(), nil
	}
	return sender.nextOutcome(), nil, nil
}

func messageOrNone(message *Message) Message {
	if message == nil {
		return Message{}
	}
	return *message
}

// Held returns held messages of an account's linked device. It waits until there are enough.
func (n *Network) Held(ctx context.Context, identifier string, count int) ([]Message, error) {
	account, err := n.Account(identifier)
	if err != nil {
		return nil, err
	}
	held := []Message{}
	n.wait(ctx, func() bool {
		held = held[:0]
		for _, message := range n.timeline {
			if message.Held && message.From == account.ID {
				held = append(held, *message.copy())
			}
		}
		return len(held) >= count
	})
	return held, nil
}

// Release answers a held message with success or a refusal.
func (n *Network) Release(id string, outcome Outcome) error {
	if outcome.Kind == "" {
		outcome.Kind = OutcomeSuccess
	}
	if err := outcome.validate(); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	message, ok := n.messages[id]
	if !ok || !message.Held {
		return fmt.Errorf("%w: held message %q", ErrNotFound, id)
	}
	session := n.sessionOf(message.From)
	refusal := outcome.refusal()
	through := ""
	if session != nil {
		through = session.Token
		session.enqueue(Event{Kind: EventAnswer, At: now(), By: message.From, Message: message.copy(), Refusal: refusal})
	}
	if refusal == nil {
		return n.accept(message, through)
	}
	delete(n.messages, id)
	n.timeline = slices.DeleteFunc(n.timeline, func(other *Message) bool { return other == message })
	n.notify()
	return n.journal.write(recordMessage, id, nil)
}
