// Messages that a linked device sends.

package phonenet

import (
	"context"
	"fmt"
	"slices"
	"time"
)

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
	if refusal := n.timelock(sender, message); refusal != nil {
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

// timelock refuses the first message to someone new while the sender may write to nobody new.
func (n *Network) timelock(sender *Account, message *Message) *Refusal {
	if message.Group != "" || !sender.TimelockUntil.After(now()) ||
		len(n.selectMessages(sender, Filter{Chat: message.To})) > 0 {
		return nil
	}
	return &Refusal{
		Permanent: true,
		Reason:    "testnet-reachout-timelock",
		Message:   "This account can't start new chats until " + sender.TimelockUntil.Format(time.RFC3339),
	}
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
