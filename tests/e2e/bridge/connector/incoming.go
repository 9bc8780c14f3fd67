// From the network to Matrix.

package connector

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

// typingTimeout is how long someone is shown as typing unless they stop.
const typingTimeout = 15 * time.Second

// handleEvent gets everything that happens to the account, one event at a time.
func (c *TestnetClient) handleEvent(evt phonenet.Event) {
	ctx := c.login.Log.WithContext(c.main.Bridge.BackgroundCtx)
	switch evt.Kind {
	case phonenet.EventConnection:
		c.handleConnection(ctx, evt.Connection)
	case phonenet.EventGroup:
		c.handleGroup(evt)
	case phonenet.EventAccount:
		c.handleAccount(ctx, evt.By)
	case phonenet.EventMoved:
		c.handleMoved(ctx, evt.By)
	case phonenet.EventTimer:
		c.handleTimer(evt)
	case phonenet.EventTyping:
		c.handleTyping(evt)
	case phonenet.EventCall:
		c.handleCall(evt)
	default:
		c.handleMessage(evt)
	}
}

// handleMessage follows what happens in chats.
func (c *TestnetClient) handleMessage(evt phonenet.Event) {
	message := evt.Message
	if message.Group == phonenet.StatusBroadcast && !c.main.Config.EnableStatusBroadcast {
		return
	}
	key, group, err := c.chatOf(message.Group, message.Chat(c.account()))
	if err != nil {
		c.login.Log.Err(err).Str("message_id", message.ID).Msg("Failed to find the chat of an event")
		return
	}
	meta := simplevent.EventMeta{PortalKey: key, Sender: c.senderIn(group, evt.By), Timestamp: evt.At}
	if remote := c.remoteEvent(evt, meta); remote != nil {
		c.login.QueueRemoteEvent(remote)
	}
}

// remoteEvent wraps an event about a message.
func (c *TestnetClient) remoteEvent(evt phonenet.Event, meta simplevent.EventMeta) bridgev2.RemoteEvent {
	target := networkid.MessageID(evt.Message.ID)
	switch evt.Kind {
	case phonenet.EventMessage:
		return c.remoteMessage(meta, evt.Message)
	case phonenet.EventAnswer:
		return c.remoteAnswer(meta, evt)
	case phonenet.EventEdit:
		return &simplevent.Message[*phonenet.Message]{
			EventMeta:       meta.WithType(bridgev2.RemoteEventEdit),
			TargetMessage:   target,
			Data:            evt.Message,
			ConvertEditFunc: c.convertEdit,
		}
	case phonenet.EventDelete:
		return &simplevent.MessageRemove{EventMeta: meta.WithType(bridgev2.RemoteEventMessageRemove), TargetMessage: target}
	case phonenet.EventVote:
		return c.remoteVote(meta, evt)
	case phonenet.EventReaction:
		meta.Type = bridgev2.RemoteEventReaction
		if evt.Emoji == "" {
			meta.Type = bridgev2.RemoteEventReactionRemove
		}
		return &simplevent.Reaction{EventMeta: meta, TargetMessage: target, Emoji: evt.Emoji}
	case phonenet.EventReceipt:
		if evt.Receipt == phonenet.ReceiptDelivered {
			return &simplevent.Receipt{
				EventMeta: meta.WithType(bridgev2.RemoteEventDeliveryReceipt), Targets: []networkid.MessageID{target},
			}
		}
		return &simplevent.Receipt{
			EventMeta: meta.WithType(bridgev2.RemoteEventReadReceipt), LastTarget: target, Targets: []networkid.MessageID{target},
		}
	default:
		c.login.Log.Warn().Str("kind", string(evt.Kind)).Msg("Ignoring an event of unknown kind")
		return nil
	}
}

func (c *TestnetClient) remoteMessage(meta simplevent.EventMeta, message *phonenet.Message) bridgev2.RemoteEvent {
	meta.Timestamp = message.SentAt
	return &simplevent.Message[*phonenet.Message]{
		EventMeta:          meta.WithType(bridgev2.RemoteEventMessage).WithCreatePortal(true),
		ID:                 networkid.MessageID(message.ID),
		Data:               message,
		ConvertMessageFunc: c.convertMessage,
	}
}

// answer is the network's answer to a message that it had held. The bridge takes it for the echo it
// awaits; a restarted bridge, which awaits none, takes it for a message from another device.
type answer struct {
	simplevent.Message[*phonenet.Message]
	refusal *phonenet.Refusal
}

func (c *TestnetClient) remoteAnswer(meta simplevent.EventMeta, evt phonenet.Event) bridgev2.RemoteEvent {
	meta.Timestamp = evt.Message.SentAt
	remote := &answer{
		Message: simplevent.Message[*phonenet.Message]{
			EventMeta:          meta.WithType(bridgev2.RemoteEventMessage),
			ID:                 networkid.MessageID(evt.Message.ID),
			TransactionID:      networkid.TransactionID(evt.Message.ID),
			Data:               evt.Message,
			ConvertMessageFunc: c.convertMessage,
		},
		refusal: evt.Refusal,
	}
	if evt.Refusal != nil {
		remote.ConvertMessageFunc = ignoreMessage
	}
	return remote
}

func ignoreMessage(
	context.Context, *bridgev2.Portal, bridgev2.MatrixAPI, *phonenet.Message,
) (*bridgev2.ConvertedMessage, error) {
	return nil, bridgev2.ErrIgnoringRemoteEvent
}

// settle gets the answer to a held message, and decides whether to save it, and its status.
func settle(evt bridgev2.RemoteMessage, _ *database.Message) (save bool, status error) {
	if refused, ok := evt.(*answer); ok && refused.refusal != nil {
		return false, wrapRefusal(refused.refusal)
	}
	return true, nil
}

func (c *TestnetClient) convertMessage(
	ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, message *phonenet.Message,
) (*bridgev2.ConvertedMessage, error) {
	part, err := c.convertPart(ctx, portal, intent, message)
	if err != nil {
		return nil, err
	}
	converted := &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{part}}
	if message.ReplyTo != "" {
		converted.ReplyTo = &networkid.MessageOptionalPartID{MessageID: networkid.MessageID(message.ReplyTo)}
	}
	return converted, nil
}

func (c *TestnetClient) convertPart(
	ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, message *phonenet.Message,
) (*bridgev2.ConvertedMessagePart, error) {
	part := &bridgev2.ConvertedMessagePart{Type: event.EventMessage}
	switch {
	case message.Deleted:
		part.Content = &event.MessageEventContent{MsgType: event.MsgNotice, Body: "This message was deleted"}
	case message.Media != nil:
		content, err := uploadMedia(ctx, portal, intent, message)
		if err != nil {
			return nil, err
		}
		part.Content = content
		if message.Type == phonenet.TypeSticker {
			part.Type = event.EventSticker
		}
	case message.Poll != nil:
		c.convertPoll(part, message.Poll)
	case message.Location != nil:
		part.Content = convertLocation(message.Location)
	default:
		part.Content = &event.MessageEventContent{MsgType: event.MsgText, Body: message.Text}
	}
	if !message.Deleted {
		c.addFormat(ctx, portal, part.Content, message)
	}
	return part, nil
}

func convertLocation(location *phonenet.Location) *event.MessageEventContent {
	body := location.Name
	if body == "" {
		body = fmt.Sprintf("Location: %.5f, %.5f", location.Latitude, location.Longitude)
	}
	return &event.MessageEventContent{
		MsgType: event.MsgLocation,
		Body:    body,
		GeoURI:  fmt.Sprintf("geo:%.6f,%.6f", location.Latitude, location.Longitude),
	}
}

func (c *TestnetClient) convertEdit(
	ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, existing []*database.Message, message *phonenet.Message,
) (*bridgev2.ConvertedEdit, error) {
	part, err := c.convertPart(ctx, portal, intent, message)
	if err != nil {
		return nil, err
	}
	return &bridgev2.ConvertedEdit{ModifiedParts: []*bridgev2.ConvertedEditPart{part.ToEditPart(existing[0])}}, nil
}

func (c *TestnetClient) handleTyping(evt phonenet.Event) {
	if evt.By == c.account() {
		return // this account, on its phone
	}
	key, group, err := c.chatOf(evt.ChatGroup, evt.By)
	if err != nil {
		return // the network was reset meanwhile
	}
	timeout := typingTimeout
	if !ptr.Val(evt.Typing) {
		timeout = 0
	}
	c.login.QueueRemoteEvent(&simplevent.Typing{
		EventMeta: simplevent.EventMeta{Type: bridgev2.RemoteEventTyping, PortalKey: key, Sender: c.senderIn(group, evt.By)},
		Timeout:   timeout,
	})
}
