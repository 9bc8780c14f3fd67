// Messages from before the login.

package connector

import (
	"context"
	"slices"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"testbridge/phonenet"
)

var _ bridgev2.BackfillingNetworkAPI = (*TestnetClient)(nil)

// FetchMessages implements bridgev2.BackfillingNetworkAPI: messages from before the login, or from
// while the bridge wasn't running.
func (c *TestnetClient) FetchMessages(
	ctx context.Context, params bridgev2.FetchMessagesParams,
) (*bridgev2.FetchMessagesResponse, error) {
	if !params.Forward && !params.AllowSlowFetch && c.main.Network.Settings().SlowHistory {
		return &bridgev2.FetchMessagesResponse{HasMore: true, MoreRequiresSlowFetch: true}, nil
	}
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
	_, group, err := c.chatOf(groupIDOf(params.Portal), "")
	if err != nil {
		return nil, err
	}
	response.MarkRead = c.allRead(messages)
	intent := params.Portal.Bridge.Bot
	for _, message := range messages {
		converted, err := c.convertMessage(ctx, params.Portal, intent, &message)
		if err != nil {
			return nil, err
		}
		response.Messages = append(response.Messages, &bridgev2.BackfillMessage{
			ConvertedMessage: converted,
			Sender:           c.senderIn(group, message.From),
			ID:               networkid.MessageID(message.ID),
			Timestamp:        message.SentAt,
			Reactions:        c.backfillReactions(group, message),
		})
	}
	return response, nil
}

// around keeps the messages after the anchor, or before it. An anchor that is no message of the
// network, such as the notice of a call, counts by its time.
func around(messages []phonenet.Message, params bridgev2.FetchMessagesParams) []phonenet.Message {
	if params.AnchorMessage == nil {
		return messages
	}
	anchor := params.AnchorMessage
	after := slices.IndexFunc(messages, func(message phonenet.Message) bool { return message.SentAt.After(anchor.Timestamp) })
	if after < 0 {
		after = len(messages)
	}
	before := after
	if i := slices.IndexFunc(messages, func(message phonenet.Message) bool { return message.ID == string(anchor.ID) }); i >= 0 {
		before, after = i, i+1
	}
	if params.Forward {
		return messages[after:]
	}
	return messages[:before]
}

// allRead says whether the account has read all that others wrote.
func (c *TestnetClient) allRead(messages []phonenet.Message) bool {
	return !slices.ContainsFunc(messages, func(message phonenet.Message) bool {
		_, read := message.Read[c.account()]
		return message.From != c.account() && !read
	})
}

func (c *TestnetClient) backfillReactions(group *phonenet.Group, message phonenet.Message) []*bridgev2.BackfillReaction {
	var reactions []*bridgev2.BackfillReaction
	for account, emoji := range message.Reactions {
		reactions = append(reactions, &bridgev2.BackfillReaction{Sender: c.senderIn(group, account), Emoji: emoji})
	}
	return reactions
}
