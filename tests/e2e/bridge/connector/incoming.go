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

var _ bridgev2.BackfillingNetworkAPI = (*TestnetClient)(nil)

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
	case phonenet.EventTyping:
		c.handleTyping(evt)
	default:
		key, err := c.portalKeyOf(evt.Message)
		if err != nil {
			c.login.Log.Err(err).Str("message_id", evt.Message.ID).Msg("Failed to find the chat of an event")
			return
		}
		if remote := c.remoteEvent(evt, key); remote != nil {
			c.login.QueueRemoteEvent(remote)
		}
	}
}

// remoteEvent wraps an event about a message.
func (c *TestnetClient) remoteEvent(evt phonenet.Event, key networkid.PortalKey) bridgev2.RemoteEvent {
	target := networkid.MessageID(evt.Message.ID)
	meta := simplevent.EventMeta{PortalKey: key, Sender: c.sender(evt.By), Timestamp: evt.At}
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
	case message.Location != nil:
		part.Content = convertLocation(message.Location)
	default:
		part.Content = &event.MessageEventContent{MsgType: event.MsgText, Body: message.Text}
	}
	return part, nil
}

var matrixTypes = map[phonenet.MessageType]event.MessageType{
	phonenet.TypeImage: event.MsgImage,
	phonenet.TypeVideo: event.MsgVideo,
	phonenet.TypeAudio: event.MsgAudio,
	phonenet.TypeVoice: event.MsgAudio,
	phonenet.TypeFile:  event.MsgFile,
	// A sticker has an event type of its own, and no msgtype.
	phonenet.TypeSticker: "",
}

func uploadMedia(
	ctx context.Context, portal *bridgev2.Portal, intent bridgev2.MatrixAPI, message *phonenet.Message,
) (*event.MessageEventContent, error) {
	media := message.Media
	content := mediaContent(message)
	var err error
	content.URL, content.File, err = intent.UploadMedia(ctx, portal.MXID, media.Data, media.FileName, media.MimeType)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", bridgev2.ErrMediaReuploadFailed, err)
	}
	return content, nil
}

// mediaContent is a media message's content without the file's URL. A caption becomes the body.
func mediaContent(message *phonenet.Message) *event.MessageEventContent {
	media := message.Media
	content := &event.MessageEventContent{
		MsgType:  matrixTypes[message.Type],
		Body:     media.FileName,
		FileName: media.FileName,
		Info: &event.FileInfo{
			MimeType: media.MimeType,
			Size:     media.Size,
			Width:    media.Width,
			Height:   media.Height,
			Duration: media.DurationMS,
		},
	}
	if message.Text != "" {
		content.Body = message.Text
	}
	if message.Type == phonenet.TypeVoice {
		content.MSC3245Voice = &event.MSC3245Voice{}
		content.MSC1767Audio = &event.MSC1767Audio{Duration: media.DurationMS}
	}
	return content
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
	key := c.dmPortalKey(evt.By)
	if evt.ChatGroup != "" {
		group, err := c.main.Network.Group(evt.ChatGroup)
		if err != nil {
			return
		}
		key = c.groupPortalKey(&group)
	}
	timeout := typingTimeout
	if !ptr.Val(evt.Typing) {
		timeout = 0
	}
	c.login.QueueRemoteEvent(&simplevent.Typing{
		EventMeta: simplevent.EventMeta{Type: bridgev2.RemoteEventTyping, PortalKey: key, Sender: c.sender(evt.By)},
		Timeout:   timeout,
	})
}

// FetchMessages implements bridgev2.BackfillingNetworkAPI: messages from before the login, or from
// while the bridge wasn't running.
func (c *TestnetClient) FetchMessages(
	ctx context.Context, params bridgev2.FetchMessagesParams,
) (*bridgev2.FetchMessagesResponse, error) {
	messages, err := c.main.Network.Messages(ctx, c.account(), phonenet.Filter{Chat: string(params.Portal.ID)})
	if err != nil {
		return nil, err
	}
	messages = around(messages, params)
	response := &bridgev2.FetchMessagesResponse{Forward: params.Forward, AggressiveDeduplication: true}
	if len(messages) > params.Count {
		messages = messages[len(messages)-params.Count:]
		response.HasMore = true
	}
	intent := params.Portal.Bridge.Bot
	for _, message := range messages {
		converted, err := c.convertMessage(ctx, params.Portal, intent, &message)
		if err != nil {
			return nil, err
		}
		response.Messages = append(response.Messages, &bridgev2.BackfillMessage{
			ConvertedMessage: converted,
			Sender:           c.sender(message.From),
			ID:               networkid.MessageID(message.ID),
			Timestamp:        message.SentAt,
			Reactions:        c.backfillReactions(message),
		})
	}
	return response, nil
}

// around keeps the messages after the anchor, or before it.
func around(messages []phonenet.Message, params bridgev2.FetchMessagesParams) []phonenet.Message {
	if params.AnchorMessage == nil {
		return messages
	}
	for i, message := range messages {
		if message.ID != string(params.AnchorMessage.ID) {
			continue
		}
		if params.Forward {
			return messages[i+1:]
		}
		return messages[:i]
	}
	return nil
}

func (c *TestnetClient) backfillReactions(message phonenet.Message) []*bridgev2.BackfillReaction {
	var reactions []*bridgev2.BackfillReaction
	for account, emoji := range message.Reactions {
		reactions = append(reactions, &bridgev2.BackfillReaction{Sender: c.sender(account), Emoji: emoji})
	}
	return reactions
}
