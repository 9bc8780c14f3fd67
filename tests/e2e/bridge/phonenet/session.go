// Sessions are devices linked to an account, such as bridge logins. A session gets its account's
// events while it is connected; other events wait for it.

package phonenet

import (
	"errors"
	"fmt"
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
	switch {
	case n.settings.Down:
		session.setConnection(unreachable)
	case n.settings.ConnectDelayMS > 0 && session.connection.State == Connected:
		session.connectLater(time.Duration(n.settings.ConnectDelayMS) * time.Millisecond)
	default:
		session.setConnection(session.connection)
	}
	go session.deliver(session.attached)
	n.notify()
	return session, nil
}

// connectLater keeps the session connecting for a while. The caller holds the lock.
func (s *Session) connectLater(delay time.Duration) {
	s.setConnection(Connection{State: Connecting})
	attached := s.attached
	time.AfterFunc(delay, func() {
		s.network.mu.Lock()
		defer s.network.mu.Unlock()
		if s.attached == attached && s.connection.State == Connecting {
			s.setConnection(Connection{State: Connected})
			s.network.notify()
		}
	})
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
