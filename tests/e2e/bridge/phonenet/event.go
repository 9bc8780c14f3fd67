// Events for a phone and its linked devices.

package phonenet

import (
	"context"
	"slices"
	"time"
)

// EventKind says what an event is about.
type EventKind string

// The kinds of event.
const (
	EventMessage    EventKind = "message"
	EventEdit       EventKind = "edit"
	EventDelete     EventKind = "delete"
	EventReaction   EventKind = "reaction"
	EventReceipt    EventKind = "receipt"
	EventTyping     EventKind = "typing"
	EventGroup      EventKind = "group"
	EventAccount    EventKind = "account" // someone changed what others see of them
	EventMoved      EventKind = "moved"   // the direct chats with someone now go by their LID
	EventVote       EventKind = "vote"
	EventTimer      EventKind = "timer"      // messages of a chat disappear after another time
	EventCall       EventKind = "call"       // someone calls, and nobody answers
	EventAnswer     EventKind = "answer"     // to a message that was held; only for the session that sent it
	EventConnection EventKind = "connection" // only for sessions
)

// Event is something that happened.
type Event struct {
	// Seq counts the events of one phone, from 1.
	Seq int `json:"seq"`
	// ID is the same for all phones, and no other event's, also of the same millisecond.
	ID   string    `json:"-"`
	Kind EventKind `json:"kind"`
	At   time.Time `json:"timestamp"`
	// By is who did it.
	By        string      `json:"by"`
	Message   *Message    `json:"message,omitempty"` // as it is afterwards
	Emoji     string      `json:"emoji,omitempty"`
	Votes     []string    `json:"votes,omitempty"` // the options that are chosen afterwards
	Call      *Call       `json:"call,omitempty"`
	Receipt   ReceiptKind `json:"receipt,omitempty"`
	Typing    *bool       `json:"typing,omitempty"`
	ChatGroup string      `json:"group_id,omitempty"` // of a typing notice or a timer
	ChatWith  []string    `json:"-"`                  // both sides of the direct chat of a timer
	Disappear *int        `json:"disappear_s,omitempty"`
	Group     *Group      `json:"group,omitempty"` // as it is afterwards
	Joined    []string    `json:"joined,omitempty"`
	Left      []string    `json:"left,omitempty"`
	Promoted  []string    `json:"promoted,omitempty"`
	Demoted   []string    `json:"demoted,omitempty"`

	Connection Connection `json:"-"`
	Refusal    *Refusal   `json:"-"`
}

// publish tells phones and their devices, except the session `through`. The caller holds the lock.
func (n *Network) publish(event Event, told []string, through string) {
	event.At, event.ID = now(), randomHex(8)
	for _, id := range told {
		account := n.accounts[id]
		logged := event
		logged.Seq = len(account.events) + 1
		if logged.Message != nil {
			logged.Message = logged.Message.withoutData()
		}
		account.events = append(account.events, logged)
		if session := n.sessionOf(id); session != nil && session.Token != through {
			session.enqueue(event)
		}
	}
	n.notify()
}

// Events returns a phone's events after a number. It waits for enough, or until the context ends.
func (n *Network) Events(ctx context.Context, owner string, after, count int) ([]Event, error) {
	n.mu.Lock()
	account, err := n.account(owner)
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	events := []Event{}
	n.wait(ctx, func() bool {
		events = slices.Clone(account.events[min(max(after, 0), len(account.events)):])
		return len(events) >= count
	})
	return events, nil
}
