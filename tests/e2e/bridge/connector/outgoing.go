// From Matrix to the network.

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.mau.fi/util/variationselector"
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

// HandleMatrixMessage implements bridgev2.NetworkAPI.
func (c *TestnetClient) HandleMatrixMessage(ctx context.Context, msg *bridgev2.MatrixMessage) (*bridgev2.MatrixMessageResponse, error) {
	if _, err := c.ready(); err != nil {
		return nil, err
	}
	draft, err := c.convertToDraft(ctx, msg)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, msg, draft, &MessageMetadata{})
}

// send gives a message to the network, and tells the bridge how to remember it.
func (c *TestnetClient) send(
	ctx context.Context, msg *bridgev2.MatrixMessage, draft phonenet.Draft, meta *MessageMetadata,
) (*bridgev2.MatrixMessageResponse, error) {
	session, err := c.ready()
	if err != nil {
		return nil, err
	}
	if draft.Group == phonenet.StatusBroadcast {
		return nil, refused(event.MessageStatusUnsupported, "%s", "Sending status messages is disabled")
	}
	sent, err := session.Send(ctx, draft)
	if err != nil {
		return nil, wrapRefusal(err)
	}
	message := &database.Message{
		ID: networkid.MessageID(sent.ID), SenderID: c.selfIn(msg.Portal), Timestamp: sent.SentAt, Metadata: meta,
	}
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
		return refused(event.MessageStatusNoPermission, "%w", err)
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

// draftFor is a draft of a Matrix event, yet without content.
func (c *TestnetClient) draftFor(msg *bridgev2.MatrixMessage) phonenet.Draft {
	draft := phonenet.Draft{ID: messageID(msg.Event), SentAt: time.UnixMilli(msg.Event.Timestamp).UTC()}
	if draft.Group = groupIDOf(msg.Portal); draft.Group == "" {
		draft.To = string(msg.Portal.ID)
	}
	if msg.ReplyTo != nil {
		draft.ReplyTo = string(msg.ReplyTo.ID)
	}
	return draft
}

func (c *TestnetClient) convertToDraft(ctx context.Context, msg *bridgev2.MatrixMessage) (phonenet.Draft, error) {
	content, features := msg.Content, c.GetCapabilities(ctx, msg.Portal)
	draft := c.draftFor(msg)
	switch content.MsgType {
	case event.MsgText, event.MsgNotice:
		if err := checkLength("text", content.Body, features.MaxTextLength); err != nil {
			return draft, err
		}
		draft.Type = phonenet.TypeText
		setWords(&draft, c.wordsOf(content, content.Body))
		draft.NoPreview = content.BeeperLinkPreviews != nil && len(content.BeeperLinkPreviews) == 0
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
		if file := features.File[content.GetCapMsgType()]; file != nil {
			if err := checkLength("caption", content.GetCaption(), file.MaxCaptionLength); err != nil {
				return draft, err
			}
		}
		return draft, c.convertMedia(ctx, content, &draft)
	default:
		return draft, fmt.Errorf("%w %s", bridgev2.ErrUnsupportedMessageType, content.MsgType)
	}
	return draft, nil
}

// checkLength refuses words that are longer than the limit, in characters; 0 is none.
func checkLength(what, words string, limit int) error {
	if length := utf8.RuneCountInString(words); limit > 0 && length > limit {
		return wrapRefusal(&phonenet.Refusal{
			Message: fmt.Sprintf("a %s has at most %d characters, not %d", what, limit, length), Permanent: true,
		})
	}
	return nil
}

func (c *TestnetClient) convertMedia(ctx context.Context, content *event.MessageEventContent, draft *phonenet.Draft) error {
	data, err := c.main.Bridge.Bot.DownloadMedia(ctx, content.URL, content.File)
	if err != nil {
		return fmt.Errorf("%w: %w", bridgev2.ErrMediaDownloadFailed, err)
	}
	if content.MsgType != event.MsgAudio { // the network has no place for its caption, and says nothing
		setWords(draft, c.wordsOf(content, content.GetCaption()))
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
		if content.Info != nil && content.Info.MauGIF {
			draft.Type = phonenet.TypeGIF
		}
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
	words := c.wordsOf(msg.Content, text)
	if err := c.main.Network.Edit(c.account(), string(msg.EditTarget.ID), words, session.Token); err != nil {
		return err
	}
	msg.EditTarget.EditCount++ // bridgev2 counts only the edits that come from the network
	return nil
}

// PreHandleMatrixReaction implements bridgev2.ReactionHandlingNetworkAPI.
func (c *TestnetClient) PreHandleMatrixReaction(
	ctx context.Context, msg *bridgev2.MatrixReaction,
) (response bridgev2.MatrixReactionPreResponse, err error) {
	features, emoji := c.GetCapabilities(ctx, msg.Portal), msg.Content.RelatesTo.Key
	switch allowed := features.AllowedReactions; {
	case !features.Reaction.Partial():
		return response, refused(event.MessageStatusUnsupported, "%s", "Reactions aren't supported in this chat")
	case allowed != nil && !slices.Contains(allowed, variationselector.Remove(emoji)):
		return response, refused(event.MessageStatusUnsupported, "The reaction %s isn't allowed in this chat", emoji)
	}
	return bridgev2.MatrixReactionPreResponse{
		SenderID: c.selfIn(msg.Portal), Emoji: emoji, MaxReactions: 1,
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
func (c *TestnetClient) HandleMatrixMessageRemove(ctx context.Context, msg *bridgev2.MatrixMessageRemove) error {
	if features := c.GetCapabilities(ctx, msg.Portal); !features.Delete.Partial() {
		return refused(event.MessageStatusUnsupported, "%s", "Messages can't be deleted in this chat")
	} else if tooOld(features.DeleteMaxAge, msg.TargetMessage.Timestamp) {
		return refused(event.MessageStatusTooOld, "%s", "The message is too old to be deleted")
	}
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.Delete(c.account(), string(msg.TargetMessage.ID), session.Token)
}

// HandleMatrixReadReceipt implements bridgev2.ReadReceiptHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixReadReceipt(_ context.Context, msg *bridgev2.MatrixReadReceipt) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.ReadUpTo(c.account(), string(msg.Portal.ID), msg.ReadUpTo, session.Token)
}

// HandleMatrixTyping implements bridgev2.TypingHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixTyping(_ context.Context, msg *bridgev2.MatrixTyping) error {
	session, err := c.ready()
	if err != nil {
		return err
	}
	return c.main.Network.Typing(c.account(), string(msg.Portal.ID), msg.IsTyping, session.Token)
}
