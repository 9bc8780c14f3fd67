// What happens to a message afterwards: edits, reactions, receipts; and typing.

package phonenet

import (
	"fmt"
	"slices"
	"time"
)

// change changes a message that the account can see, records it, and tells all but the session.
func (n *Network) change(by, id, through string, apply func(*Account, *Message) (Event, error)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	message, err := n.visible(account, id)
	if err != nil {
		return err
	}
	event, err := apply(account, message)
	if err != nil {
		return err
	}
	event.By = account.ID
	n.publishMessage(event, message, through)
	return n.journal.write(recordMessage, message.ID, message)
}

// Words are the text of a message, with formatting and mentions if it has any.
type Words struct {
	Text     string   `json:"text"`
	HTML     string   `json:"html"`
	Mentions []string `json:"mentions"`
}

// Edit replaces the text, or caption, of one's own message, and with it formatting and mentions.
func (n *Network) Edit(by, id string, edit Words, through string) error {
	n.mu.Lock()
	mentions, err := n.accountIDs(edit.Mentions)
	n.mu.Unlock()
	if err != nil {
		return err
	}
	return n.change(by, id, through, func(account *Account, message *Message) (Event, error) {
		if message.From != account.ID || message.Deleted {
			return Event{}, fmt.Errorf("%w: only one's own messages can be edited", ErrInvalid)
		}
		message.Text, message.HTML, message.Mentions, message.Edited = edit.Text, edit.HTML, mentions, true
		return Event{Kind: EventEdit}, nil
	})
}

// Delete deletes one's own message for everyone.
func (n *Network) Delete(by, id, through string) error {
	return n.change(by, id, through, func(account *Account, message *Message) (Event, error) {
		if message.From != account.ID || message.Deleted {
			return Event{}, fmt.Errorf("%w: only one's own messages can be deleted", ErrInvalid)
		}
		message.Deleted, message.Text, message.HTML, message.Mentions = true, "", "", nil
		message.Media, message.Location, message.Poll = nil, nil, nil
		return Event{Kind: EventDelete}, nil
	})
}

// React puts an emoji on a message instead of the one before; an empty emoji takes it away.
func (n *Network) React(by, id, emoji, through string) error {
	return n.change(by, id, through, func(account *Account, message *Message) (Event, error) {
		if emoji == "" {
			delete(message.Reactions, account.ID)
		} else {
			if message.Reactions == nil {
				message.Reactions = make(map[string]string)
			}
			message.Reactions[account.ID] = emoji
		}
		return Event{Kind: EventReaction, Emoji: emoji}, nil
	})
}

// Receipt tells the sender of a message that it was delivered to, or read by, the account.
func (n *Network) Receipt(by, id string, kind ReceiptKind, through string) error {
	if kind == "" || !kind.valid() {
		return fmt.Errorf("%w: a receipt is %q or %q", ErrInvalid, ReceiptDelivered, ReceiptRead)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	message, err := n.visible(account, id)
	if err != nil {
		return err
	}
	n.receipts(message, account, kind, through)
	return n.journal.write(recordMessage, message.ID, message)
}

// ReadUpTo reads everything that others wrote in a chat (an account or a group) until a time.
func (n *Network) ReadUpTo(by, chat string, until time.Time, through string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	if other := n.find(chat); other != nil {
		chat = other.ID
	}
	for _, message := range n.timeline {
		_, isRead := message.Read[account.ID]
		if isRead || message.From == account.ID || message.SentAt.After(until) || message.Held ||
			!slices.Contains(n.membersOf(message), account.ID) || message.Chat(account.ID) != chat {
			continue
		}
		n.receipts(message, account, ReceiptRead, through)
		if err := n.journal.write(recordMessage, message.ID, message); err != nil {
			return err
		}
	}
	return nil
}

// receipts notes and publishes the receipts up to the kind that are new. Reading includes delivery.
func (n *Network) receipts(message *Message, by *Account, upTo ReceiptKind, through string) {
	note := func(kind ReceiptKind, times *map[string]time.Time) {
		if _, known := (*times)[by.ID]; known {
			return
		}
		if *times == nil {
			*times = make(map[string]time.Time)
		}
		(*times)[by.ID] = now()
		n.publishMessage(Event{Kind: EventReceipt, By: by.ID, Receipt: kind}, message, through)
	}
	if upTo != "" {
		note(ReceiptDelivered, &message.Delivered)
	}
	if upTo == ReceiptRead {
		note(ReceiptRead, &message.Read)
	}
}

// Typing shows, or stops showing, that an account writes in a chat (an account or a group).
func (n *Network) Typing(by, chat string, typing bool, through string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	event := Event{Kind: EventTyping, By: account.ID, Typing: &typing}
	if group, err := n.group(chat); err == nil {
		event.ChatGroup = group.ID
		n.publish(event, group.Members, through)
		return nil
	}
	other, err := n.account(chat)
	if err != nil {
		return err
	}
	n.publish(event, []string{account.ID, other.ID}, through)
	return nil
}
