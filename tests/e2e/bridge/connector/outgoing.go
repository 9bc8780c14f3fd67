// From Matrix to the network.

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var (
	_ bridgev2.EditHandlingNetworkAPI        = (*TestnetClient)(nil)
	_ bridgev2.ReactionHandlingNetworkAPI    = (*TestnetClient)(nil)
	_ bridgev2.RedactionHandlingNetworkAPI   = (*TestnetClient)(nil)
	_ bridgev2.ReadReceiptHandlingNetworkAPI = (*TestnetClient)(nil)
	_ bridgev2.TypingHandlingNetworkAPI      = (*TestnetClient)(nil)
)

// capabilities of every chat are WhatsApp's: bridgev2 refuses kinds that aren't listed.
var capabilities = &event.RoomFeatures{
	ID: "example.testnet.capabilities.2",
	File: event.FileFeatureMap{
		event.MsgImage:    files(event.CapLevelFullySupported, "image/jpeg", "image/png", "image/webp"),
		event.MsgVideo:    files(event.CapLevelFullySupported, "video/mp4", "video/3gpp"),
		event.MsgAudio:    files(event.CapLevelDropped, "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/ogg"),
		event.CapMsgVoice: files(event.CapLevelDropped, "audio/ogg; codecs=opus"),
		event.MsgFile:     files(event.CapLevelFullySupported, "*/*"),
	},
	MaxTextLength:       20_000,
	LocationMessage:     event.CapLevelFullySupported,
	Reply:               event.CapLevelFullySupported,
	Edit:                event.CapLevelFullySupported,
	Delete:              event.CapLevelFullySupported,
	Reaction:            event.CapLevelFullySupported,
	ReactionCount:       1,
	ReadReceipts:        true,
	TypingNotifications: true,
}

func files(caption event.CapabilitySupportLevel, types ...string) *event.FileFeatures {
	features := &event.FileFeatures{
		MimeTypes: make(map[string]event.CapabilitySupportLevel, len(types)),
		Caption:   caption,
		MaxSize:   100 << 20,
	}
	for _, mimeType := range types {
		features.MimeTypes[mimeType] = event.CapLevelFullySupported
	}
	return features
}

// GetCapabilities implements bridgev2.NetworkAPI.
func (c *TestnetClient) GetCapabilities(context.Context, *bridgev2.Portal) *event.RoomFeatures {
	return capabilities
}

// HandleMatrixMessage implements bridgev2.NetworkAPI.
func (c *TestnetClient) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	session, err := c.ready()
	if err != nil {
		return nil, err
	}
	draft, err := c.convertToDraft(ctx, msg)
	if err != nil {
		return nil, err
	}
	sent, err := session.Send(ctx, draft)
	if err != nil {
		return nil, wrapRefusal(err)
	}
	message := &database.Message{ID: networkid.MessageID(sent.ID), SenderID: c.GetUserID(), Timestamp: sent.SentAt}
	if sent.Held {
		// There is no message status until the network answers: see settle.
		msg.AddPendingToSave(message, networkid.TransactionID(sent.ID), settle)
		return &bridgev2.MatrixMessageResponse{DB: message, Pending: true}, nil
	}
	return &bridgev2.MatrixMessageResponse{DB: message, StreamOrder: sent.SentAt.UnixMilli()}, nil
}

// wrapRefusal gives a refusal of the network its message status. Other errors are retriable.
func wrapRefusal(err error) error {
	if errors.Is(err, phonenet.ErrNotMember) {
		return bridgev2.WrapErrorInStatus(err).
			WithStatus(event.MessageStatusFail).
			WithErrorReason(event.MessageStatusNoPermission).
			WithErrorAsMessage().
			WithIsCertain(true).
			WithSendNotice(true)
	}
	var refusal *phonenet.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	ms := bridgev2.WrapErrorInStatus(err).
		WithErrorReason(event.MessageStatusNetworkError).
		WithMessage(refusal.Message).
		WithIsCertain(true).
		WithSendNotice(true)
	if refusal.Permanent {
		ms = ms.WithStatus(event.MessageStatusFail)
	}
	if refusal.Reason != "" {
		ms = ms.WithErrorReason(event.MessageStatusReason(refusal.Reason))
	}
	return ms
}

// messageID makes the network's id of a Matrix event, so that the network accepts a repeat once.
func messageID(evt *event.Event) string {
	hash := sha256.Sum256([]byte(evt.RoomID.String() + "\n" + evt.ID.String()))
	return "B" + hex.EncodeToString(hash[:12])
}

func (c *TestnetClient) convertToDraft(ctx context.Context, msg *bridgev2.MatrixMessage) (phonenet.Draft, error) {
	content := msg.Content
	draft := phonenet.Draft{ID: messageID(msg.Event), SentAt: time.UnixMilli(msg.Event.Timestamp).UTC()}
	if isGroup(msg.Portal) {
		draft.Group = string(msg.Portal.ID)
	} else {
		draft.To = string(msg.Portal.ID)
	}
	if msg.ReplyTo != nil {
		draft.ReplyTo = string(msg.ReplyTo.ID)
	}
	switch content.MsgType {
	case event.MsgText, event.MsgNotice:
		if length := utf8.RuneCountInString(content.Body); length > capabilities.MaxTextLength {
			return draft, wrapRefusal(&phonenet.Refusal{
				Message: fmt.Sprintf("a text has at most %d characters, not %d", capabilities.MaxTextLength, length), Permanent: true,
			})
		}
		draft.Type, draft.Text = phonenet.TypeText, content.Body
	case event.MsgEmote:
		draft.Type, draft.Text = phonenet.TypeText, "/me "+content.Body
	case event.MsgLocation:
		location, err := parseGeoURI(content.GeoURI)
		if err != nil {
			return draft, err
		}
		location.Name = content.Body
		draft.Type, draft.Location = phonenet.TypeLocation, location
	case event.MsgImage, event.MsgVideo, event.MsgAudio, event.MsgFile, event.CapMsgSticker:
		return draft, c.convertMedia(ctx, content, &draft)
	default:
		return draft, fmt.Errorf("%w %s", bridgev2.ErrUnsupportedMessageType, content.MsgType)
	}
	return draft, nil
}

func (c *TestnetClient) convertMedia(ctx context.Context, content *event.MessageEventContent, draft *phonenet.Draft) error {
	data, err := c.main.Bridge.Bot.DownloadMedia(ctx, content.URL, content.File)
	if err != nil {
		return fmt.Errorf("%w: %w", bridgev2.ErrMediaDownloadFailed, err)
	}
	draft.Text = content.GetCaption()
	if content.MsgType == event.MsgAudio {
		draft.Text = "" // the network has no place for it, and says nothing
	}
	draft.Media = &phonenet.Media{Data: data, FileName: content.GetFileName()}
	if info := content.Info; info != nil {
		draft.Media.MimeType = info.MimeType
		draft.Media.Width, draft.Media.Height, draft.Media.DurationMS = info.Width, info.Height, info.Duration
	}
	switch content.MsgType {
	case event.MsgImage:
		draft.Type = phonenet.TypeImage
	case event.MsgVideo:
		draft.Type = phonenet.TypeVideo
	case event.MsgAudio:
		draft.Type = phonenet.TypeAudio
		if content.MSC3245Voice != nil {
			draft.Type = phonenet.TypeVoice
		}
	case event.CapMsgSticker:
		draft.Type = phonenet.TypeSticker
	default:
		draft.Type = phonenet.TypeFile
	}
	return nil
}

// parseGeoURI reads a geo URI (RFC 5870): geo:latitude,longitude[,altitude][;parameters].
func parseGeoURI(uri string) (*phonenet.Location, error) {
	coordinates, _, _ := strings.Cut(strings.TrimPrefix(uri, "geo:"), ";")
	parts := strings.Split(coordinates, ",")
	if len(parts) < 2 {
		return nil, fmt.Errorf("%q isn't a geo URI", uri)
	}
	latitude, errLatitude := strconv.ParseFloat(parts[0], 64)
	longitude, errLongitude := strconv.ParseFloat(parts[1], 64)
	if err := errors.Join(errLatitude, errLongitude); err != nil {
		return nil, fmt.Errorf("%q isn't a geo URI: %w", uri, err)
	}
	return &phonenet.Location{Latitude: latitude, Longitude: longitude}, nil
}

// HandleMatrixEdit implements bridgev2.EditHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixEdit(_ context.Context, msg *bridgev2.MatrixEdit) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	text := msg.Content.Body
	if msg.Content.MsgType.IsMedia() {
		text = msg.Content.GetCaption()
	}
	return c.main.Network.Edit(c.account(), string(msg.EditTarget.ID), text, session.Token)
}

// PreHandleMatrixReaction implements bridgev2.ReactionHandlingNetworkAPI.
func (c *TestnetClient) PreHandleMatrixReaction(_ context.Context, msg *bridgev2.MatrixReaction) (bridgev2.MatrixReactionPreResponse, error) {
	return bridgev2.MatrixReactionPreResponse{
		SenderID: c.GetUserID(), Emoji: msg.Content.RelatesTo.Key, MaxReactions: 1,
	}, nil
}

// HandleMatrixReaction implements bridgev2.ReactionHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixReaction(_ context.Context, msg *bridgev2.MatrixReaction) (*database.Reaction, error) {
	return &database.Reaction{}, c.react(msg.TargetMessage.ID, msg.PreHandleResp.Emoji)
}

// HandleMatrixReactionRemove implements bridgev2.ReactionHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixReactionRemove(_ context.Context, msg *bridgev2.MatrixReactionRemove) error {
	return c.react(msg.TargetReaction.MessageID, "")
}

func (c *TestnetClient) react(target networkid.MessageID, emoji string) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.React(c.account(), string(target), emoji, session.Token)
}

// HandleMatrixMessageRemove implements bridgev2.RedactionHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixMessageRemove(_ context.Context, msg *bridgev2.MatrixMessageRemove) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.Delete(c.account(), string(msg.TargetMessage.ID), session.Token)
}

// HandleMatrixReadReceipt implements bridgev2.ReadReceiptHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixReadReceipt(_ context.Context, msg *bridgev2.MatrixReadReceipt) error {
	if msg.ExactMessage == nil || msg.ExactMessage.SenderID == c.GetUserID() {
		return nil
	}
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.Receipt(c.account(), string(msg.ExactMessage.ID), phonenet.ReceiptRead, session.Token)
}

// HandleMatrixTyping implements bridgev2.TypingHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixTyping(_ context.Context, msg *bridgev2.MatrixTyping) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.Typing(c.account(), string(msg.Portal.ID), msg.IsTyping, session.Token)
}
