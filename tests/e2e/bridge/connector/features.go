// Room features: what a chat can do. bridgev2 refuses most of what isn't listed; this bridge itself
// refuses texts and captions that are too long, polls, and deletions that come too late.

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"go.mau.fi/util/jsontime"
	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

const maxFileSize = 100 << 20

// usualFeatures are WhatsApp's.
var usualFeatures = &event.RoomFeatures{
	ID: "example.testnet.capabilities.4",
	Formatting: event.FormattingFeatureMap{
		event.FmtBold: event.CapLevelFullySupported, event.FmtItalic: event.CapLevelFullySupported,
		event.FmtStrikethrough: event.CapLevelFullySupported, event.FmtInlineCode: event.CapLevelFullySupported,
		event.FmtCodeBlock: event.CapLevelFullySupported, event.FmtUserLink: event.CapLevelFullySupported,
		event.FmtUnorderedList: event.CapLevelFullySupported, event.FmtOrderedList: event.CapLevelFullySupported,
		event.FmtListStart: event.CapLevelFullySupported, event.FmtBlockquote: event.CapLevelFullySupported,
		event.FmtInlineLink: event.CapLevelPartialSupport, event.FmtHeaders: event.CapLevelPartialSupport,
	},
	File: event.FileFeatureMap{
		event.MsgImage:      files(event.CapLevelFullySupported, partly("image/png", "image/webp"), "image/jpeg"),
		event.MsgVideo:      files(event.CapLevelFullySupported, nil, "video/mp4", "video/3gpp"),
		event.MsgAudio:      files(event.CapLevelDropped, nil, "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr", "audio/ogg"),
		event.CapMsgVoice:   files(event.CapLevelDropped, nil, "audio/ogg; codecs=opus"),
		event.CapMsgSticker: files(event.CapLevelDropped, partly("image/png", "image/jpeg"), "image/webp"),
		event.CapMsgGIF:     files(event.CapLevelFullySupported, nil, "video/mp4"),
		event.MsgFile:       files(event.CapLevelFullySupported, nil, "*/*"),
	},
	MaxTextLength:       20_000,
	LocationMessage:     event.CapLevelFullySupported,
	Poll:                event.CapLevelFullySupported,
	PollMaxOptions:      phonenet.MaxPollOptions,
	Reply:               event.CapLevelFullySupported,
	Edit:                event.CapLevelFullySupported,
	EditMaxAge:          ptr.Ptr(jsontime.S(15 * time.Minute)),
	Delete:              event.CapLevelFullySupported,
	DeleteMaxAge:        ptr.Ptr(jsontime.S(2 * 24 * time.Hour)),
	Reaction:            event.CapLevelFullySupported,
	ReactionCount:       1,
	ReadReceipts:        true,
	TypingNotifications: true,
	DisappearingTimer:   disappearing,
	BlockUser:           true,
	State: event.StateFeatureMap{
		event.StateBeeperDisappearingTimer.Type: {Level: event.CapLevelFullySupported},
	},
}

// groupFeatures are those of groups, which have a name and members to change.
var groupFeatures = func() *event.RoomFeatures {
	features := usualFeatures.Clone()
	features.ID += "+group"
	features.State = event.StateFeatureMap{
		event.StateRoomName.Type:   {Level: event.CapLevelFullySupported},
		event.StateRoomAvatar.Type: {Level: event.CapLevelFullySupported},
		event.StateTopic.Type:      {Level: event.CapLevelFullySupported},

		event.StateBeeperDisappearingTimer.Type: {Level: event.CapLevelFullySupported},
		event.StatePowerLevels.Type:             {Level: event.CapLevelFullySupported},
	}
	features.BlockUser = false
	features.MemberActions = event.MemberFeatureMap{
		event.MemberActionInvite: event.CapLevelFullySupported,
		event.MemberActionKick:   event.CapLevelFullySupported,
		event.MemberActionLeave:  event.CapLevelFullySupported,
	}
	return features
}()

// strictFeatures are those of a network that takes little: JPEGs without a caption and short texts.
var strictFeatures = &event.RoomFeatures{
	ID: "example.testnet.capabilities.strict.1",
	File: event.FileFeatureMap{
		event.MsgImage: {
			MimeTypes: map[string]event.CapabilitySupportLevel{"image/jpeg": event.CapLevelFullySupported},
			Caption:   event.CapLevelRejected,
			MaxSize:   64 << 10,
		},
		event.MsgFile: {
			MimeTypes:        map[string]event.CapabilitySupportLevel{"application/pdf": event.CapLevelFullySupported},
			Caption:          event.CapLevelFullySupported,
			MaxCaptionLength: 20,
			MaxSize:          64 << 10,
		},
	},
	MaxTextLength:   160,
	LocationMessage: event.CapLevelRejected,
	Edit:            event.CapLevelFullySupported,
	EditMaxAge:      ptr.Ptr(jsontime.S(2 * time.Second)),
	EditMaxCount:    1,
	Delete:          event.CapLevelFullySupported,
	DeleteMaxAge:    ptr.Ptr(jsontime.S(2 * time.Second)),
}

func partly(types ...string) []string { return types }

func files(caption event.CapabilitySupportLevel, converted []string, types ...string) *event.FileFeatures {
	features := &event.FileFeatures{
		MimeTypes: make(map[string]event.CapabilitySupportLevel, len(types)+len(converted)),
		Caption:   caption,
		MaxSize:   maxFileSize,
	}
	for _, mimeType := range types {
		features.MimeTypes[mimeType] = event.CapLevelFullySupported
	}
	for _, mimeType := range converted {
		features.MimeTypes[mimeType] = event.CapLevelPartialSupport
	}
	return features
}

// GetCapabilities implements bridgev2.NetworkAPI.
func (c *TestnetClient) GetCapabilities(_ context.Context, portal *bridgev2.Portal) *event.RoomFeatures {
	chosen, usual := c.chosenFeatures(portal), usualFeatures
	if kindOf(portal.ID) == kindGroup {
		usual = groupFeatures
	}
	if len(chosen) == 0 {
		return usual
	}
	var preset string
	if json.Unmarshal(chosen, &preset) == nil {
		if preset == "strict" {
			return strictFeatures
		}
		return usual
	}
	features := usual.Clone()
	if err := json.Unmarshal(chosen, features); err != nil {
		c.login.Log.Err(err).Msg("Ignoring features that aren't room features")
		return usual
	}
	hash := sha256.Sum256(chosen)
	features.ID = usual.ID + "+" + base64.RawURLEncoding.EncodeToString(hash[:6])
	return features
}

// chosenFeatures are what a test has set for the chat: a preset's name, or fields that differ.
func (c *TestnetClient) chosenFeatures(portal *bridgev2.Portal) json.RawMessage {
	if kindOf(portal.ID) == kindDM {
		account, err := c.main.Network.Account(string(portal.ID))
		if err != nil {
			return nil
		}
		return account.Features
	}
	group, err := c.main.Network.Group(string(portal.ID))
	if err != nil {
		return nil
	}
	return group.Features
}

// refused is the error of what a chat can't do: a permanent failure, with words for people.
func refused(reason event.MessageStatusReason, format string, args ...any) error {
	return bridgev2.WrapErrorInStatus(fmt.Errorf(format, args...)).
		WithStatus(event.MessageStatusFail).
		WithErrorReason(reason).
		WithErrorAsMessage().
		WithIsCertain(true).
		WithSendNotice(true)
}

// tooOld says whether a limit of age, if there is one, has passed.
func tooOld(limit *jsontime.Seconds, since time.Time) bool {
	return limit != nil && limit.Duration > 0 && time.Since(since) > limit.Duration
}
