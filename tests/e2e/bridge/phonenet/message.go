// Messages in chats, and their later changes.

package phonenet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// MessageType says what a message is.
type MessageType string

// The types of message.
const (
	TypeText     MessageType = "text"
	TypeImage    MessageType = "image"
	TypeVideo    MessageType = "video"
	TypeGIF      MessageType = "gif" // a short video that is played as a GIF
	TypeAudio    MessageType = "audio"
	TypeVoice    MessageType = "voice"
	TypeFile     MessageType = "file"
	TypeSticker  MessageType = "sticker"
	TypeLocation MessageType = "location"
	TypePoll     MessageType = "poll"
)

// ReceiptKind says how far a message got.
type ReceiptKind string

// The kinds of receipt.
const (
	ReceiptDelivered ReceiptKind = "delivered"
	ReceiptRead      ReceiptKind = "read"
)

func (kind ReceiptKind) valid() bool {
	return kind == "" || kind == ReceiptDelivered || kind == ReceiptRead
}

// Media is the file of a message.
type Media struct {
	Data       []byte `json:"data,omitempty"`
	MimeType   string `json:"mime_type"`
	FileName   string `json:"file_name"`
	Size       int    `json:"size"`
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
	DurationMS int    `json:"duration_ms,omitempty"`
}

// Location is a point on Earth, in degrees.
type Location struct {
	Latitude  float64 `json:"latitude"`
	Longitude float64 `json:"longitude"`
	Name      string  `json:"name,omitempty"`
}

// Draft is a message to be sent: to an account, or to a group, a channel or [StatusBroadcast].
type Draft struct {
	ID       string      `json:"id"` // chosen by the network unless given; the same id is accepted once
	To       string      `json:"to"`
	Group    string      `json:"group"`
	Type     MessageType `json:"type"`
	Text     string      `json:"text"` // the caption, if there is a file
	HTML     string      `json:"html"` // the text with its formatting; "" if it has none
	Mentions []string    `json:"mentions"`
	// NoPreview says that links in the text have no preview.
	NoPreview bool      `json:"no_preview"`
	Media     *Media    `json:"media"`
	Location  *Location `json:"location"`
	Poll      *Poll     `json:"poll"`
	ReplyTo   string    `json:"reply_to"`
	SentAt    time.Time `json:"timestamp"`
}

// Message is what the network knows of a message.
type Message struct {
	ID        string               `json:"id"`
	From      string               `json:"from"`
	To        string               `json:"to,omitempty"`
	Group     string               `json:"group,omitempty"`
	Type      MessageType          `json:"type"`
	Text      string               `json:"text,omitempty"`
	HTML      string               `json:"html,omitempty"`
	Mentions  []string             `json:"mentions,omitempty"` // accounts
	NoPreview bool                 `json:"no_preview,omitempty"`
	Media     *Media               `json:"media,omitempty"`
	Location  *Location            `json:"location,omitempty"`
	Poll      *Poll                `json:"poll,omitempty"`
	Votes     map[string][]string  `json:"votes,omitempty"` // the options, by voter
	ReplyTo   string               `json:"reply_to,omitempty"`
	SentAt    time.Time            `json:"timestamp"`
	Through   string               `json:"through"` // "phone" or "bridge"
	Edited    bool                 `json:"edited,omitempty"`
	Deleted   bool                 `json:"deleted,omitempty"`
	Unseen    bool                 `json:"unseen,omitempty"` // the recipient has blocked the sender
	Held      bool                 `json:"held,omitempty"`   // the sender waits for an answer, nobody else knows of it
	Reactions map[string]string    `json:"reactions,omitempty"`
	Delivered map[string]time.Time `json:"delivered,omitempty"`
	Read      map[string]time.Time `json:"read,omitempty"`
}

// Through says by which way a message came to the network.
const (
	ThroughPhone  = "phone"
	ThroughBridge = "bridge"
)

// Chat is the message's chat as an account sees it: the group, or the other account.
func (m *Message) Chat(viewer string) string {
	switch {
	case m.Group != "":
		return m.Group
	case m.To == viewer:
		return m.From
	default:
		return m.To
	}
}

// copy returns a copy that later changes don't touch.
func (m *Message) copy() *Message {
	copied := *m
	copied.Reactions = maps.Clone(m.Reactions)
	copied.Votes = maps.Clone(m.Votes)
	copied.Delivered = maps.Clone(m.Delivered)
	copied.Read = maps.Clone(m.Read)
	return &copied
}

// withoutData returns a copy without the bytes of the file.
func (m *Message) withoutData() *Message {
	copied := m.copy()
	if m.Media != nil {
		media := *m.Media
		media.Data = nil
		copied.Media = &media
	}
	return copied
}

// SendFromPhone sends a message as the owner of a phone does.
func (n *Network) SendFromPhone(from string, draft Draft) (Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	sender, err := n.account(from)
	if err != nil {
		return Message{}, err
	}
	message, err := n.compose(sender, draft)
	if err != nil {
		return Message{}, err
	}
	if known, ok := n.messages[message.ID]; ok {
		return *known.copy(), nil
	}
	message.Through = ThroughPhone
	return *message.copy(), n.accept(message, "")
}

// compose makes a message of a draft, and refuses what makes no sense.
func (n *Network) compose(sender *Account, draft Draft) (*Message, error) {
	message := &Message{
		ID:       cmp.Or(draft.ID, "M"+randomHex(12)),
		From:     sender.ID,
		Type:     cmp.Or(draft.Type, TypeText),
		Text:     draft.Text,
		HTML:     draft.HTML,
		Location: draft.Location,
		Poll:     draft.Poll,
		ReplyTo:  draft.ReplyTo,
		SentAt:   draft.SentAt,

		NoPreview: draft.NoPreview,
	}
	var err error
	if message.Mentions, err = n.accountIDs(draft.Mentions); err != nil {
		return nil, err
	}
	if message.SentAt.IsZero() {
		message.SentAt = now()
	}
	if (draft.To == "") == (draft.Group == "") {
		return nil, fmt.Errorf("%w: a message goes either to an account or to a group", ErrInvalid)
	}
	if draft.Group != "" {
		if err := n.mayWrite(sender.ID, draft.Group); err != nil {
			return nil, err
		}
		message.Group = draft.Group
	} else {
		recipient, err := n.account(draft.To)
		if err != nil {
			return nil, err
		}
		message.To = recipient.ID
		message.Unseen = slices.Contains(recipient.Blocked, sender.ID)
	}
	return message, message.setContent(draft)
}

func (m *Message) setContent(draft Draft) error {
	switch m.Type {
	case TypeText:
		if m.Text == "" {
			return fmt.Errorf("%w: a text message needs a text", ErrInvalid)
		}
	case TypeLocation:
		if m.Location == nil {
			return fmt.Errorf("%w: a location message needs a location", ErrInvalid)
		}
	case TypePoll:
		return m.Poll.validate()
	case TypeImage, TypeVideo, TypeGIF, TypeAudio, TypeVoice, TypeFile, TypeSticker:
		if draft.Media == nil || len(draft.Media.Data) == 0 {
			return fmt.Errorf("%w: a message of type %s needs media with data", ErrInvalid, m.Type)
		}
		media := *draft.Media
		media.Size = len(media.Data)
		media.MimeType = cmp.Or(media.MimeType, "application/octet-stream")
		m.Media = &media
	default:
		return fmt.Errorf("%w: there is no message type %q", ErrInvalid, m.Type)
	}
	return nil
}

// accept takes a message and tells its chat, but not the session `through`. The lock is held.
func (n *Network) accept(message *Message, through string) error {
	message.Held = false
	if _, known := n.messages[message.ID]; !known {
		n.timeline = append(n.timeline, message)
	}
	n.messages[message.ID] = message
	n.publishMessage(Event{Kind: EventMessage, By: message.From}, message, through)
	for _, member := range n.membersOf(message) {
		if member != message.From {
			n.receipts(message, n.accounts[member], n.accounts[member].AutoReceipts, "")
		}
	}
	return n.journal.write(recordMessage, message.ID, message)
}

// membersOf returns the members of a message's chat.
func (n *Network) membersOf(message *Message) []string {
	if message.Group == StatusBroadcast {
		return n.audienceOf(message.From)
	}
	if message.Group != "" {
		return n.groups[message.Group].Members
	}
	if message.From == message.To || message.Unseen {
		return []string{message.From}
	}
	return []string{message.From, message.To}
}

func (n *Network) publishMessage(event Event, message *Message, through string) {
	event.Message = message.copy()
	n.publish(event, n.membersOf(message), through)
}

// visible returns a message that the account can see.
func (n *Network) visible(account *Account, id string) (*Message, error) {
	message, ok := n.messages[id]
	if !ok || message.Held || !slices.Contains(n.membersOf(message), account.ID) {
		return nil, fmt.Errorf("%w: message %q", ErrNotFound, id)
	}
	return message, nil
}

// Filter selects messages of a phone.
type Filter struct {
	Chat  string // an account or group; "" for all
	From  string // a sender; "" for all
	Count int    // wait until there are so many
}

// Messages returns a phone's messages, oldest first. It waits for enough, or the context's end.
func (n *Network) Messages(ctx context.Context, owner string, filter Filter) ([]Message, error) {
	n.mu.Lock()
	account, err := n.account(owner)
	if err == nil && filter.From != "" {
		var sender *Account
		if sender, err = n.account(filter.From); err == nil {
			filter.From = sender.ID
		}
	}
	if other := n.find(filter.Chat); filter.Chat != "" && other != nil {
		filter.Chat = other.ID
	}
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var found []*Message
	n.wait(ctx, func() bool {
		found = n.selectMessages(account, filter)
		return len(found) >= filter.Count
	})
	messages := make([]Message, 0, len(found))
	for _, message := range found {
		messages = append(messages, *message)
	}
	return messages, nil
}

func (n *Network) selectMessages(viewer *Account, filter Filter) []*Message {
	var found []*Message
	for _, message := range n.timeline {
		if message.Held || !slices.Contains(n.membersOf(message), viewer.ID) ||
			filter.From != "" && message.From != filter.From ||
			filter.Chat != "" && message.Chat(viewer.ID) != filter.Chat {
			continue
		}
		found = append(found, message.copy())
	}
	return found
}

// Message returns a message, also one that is held.
func (n *Network) Message(id string) (Message, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	message, ok := n.messages[id]
	if !ok {
		return Message{}, fmt.Errorf("%w: message %q", ErrNotFound, id)
	}
	return *message.copy(), nil
}

// Latest returns the chats of an account that have messages, and when the latest one was sent.
func (n *Network) Latest(owner string) map[string]time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	latest := make(map[string]time.Time)
	for _, message := range n.selectMessages(n.accounts[owner], Filter{}) {
		latest[message.Chat(owner)] = message.SentAt
	}
	return latest
}
