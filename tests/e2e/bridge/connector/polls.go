// Polls and votes, both ways (MSC3381).

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var _ bridgev2.PollHandlingNetworkAPI = (*TestnetClient)(nil)

// optionID is the id on Matrix of an option of a poll from the network.
func optionID(option string) string {
	hash := sha256.Sum256([]byte(option))
	return hex.EncodeToString(hash[:])
}

// convertPoll makes a text of a poll, and beside it the poll for clients that know them.
func (c *TestnetClient) convertPoll(part *bridgev2.ConvertedMessagePart, poll *phonenet.Poll) {
	if c.main.Config.ExtEvPolls {
		part.Type = event.EventUnstablePollStart
	}
	lines := []string{poll.Question}
	answers := make([]map[string]any, len(poll.Options))
	for i, option := range poll.Options {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, option))
		answers[i] = map[string]any{"id": optionID(option), "org.matrix.msc1767.text": option}
	}
	body := strings.Join(append(lines, "(This message is a poll. Please open Testnet to vote.)"), "\n")
	selections := poll.MaxSelections
	if selections == 0 {
		selections = len(poll.Options)
	}
	part.Content = &event.MessageEventContent{MsgType: event.MsgText, Body: body}
	part.Extra = map[string]any{
		"org.matrix.msc1767.message": []map[string]any{{"mimetype": "text/plain", "body": body}},
		"org.matrix.msc3381.poll.start": map[string]any{
			"kind":           "org.matrix.msc3381.poll.disclosed",
			"max_selections": selections,
			"question":       map[string]any{"org.matrix.msc1767.text": poll.Question},
			"answers":        answers,
		},
	}
}

// remoteVote wraps a vote, each of which is a message of its own.
func (c *TestnetClient) remoteVote(meta simplevent.EventMeta, evt phonenet.Event) bridgev2.RemoteEvent {
	return &simplevent.Message[phonenet.Event]{
		EventMeta:          meta.WithType(bridgev2.RemoteEventMessage),
		ID:                 networkid.MessageID(evt.Message.ID + "-vote-" + evt.ID),
		Data:               evt,
		ConvertMessageFunc: c.convertVote,
	}
}

func (c *TestnetClient) convertVote(
	ctx context.Context, portal *bridgev2.Portal, _ bridgev2.MatrixAPI, vote phonenet.Event,
) (*bridgev2.ConvertedMessage, error) {
	poll, err := c.main.Bridge.DB.Message.GetFirstPartByID(ctx, portal.Receiver, networkid.MessageID(vote.Message.ID))
	if err != nil {
		return nil, err
	}
	if poll == nil {
		return nil, bridgev2.ErrIgnoringRemoteEvent
	}
	ids := make([]string, 0, len(vote.Votes))
	for id, option := range optionsOf(poll, vote.Message.Poll) {
		for _, chosen := range vote.Votes {
			if option == chosen {
				ids = append(ids, id)
			}
		}
	}
	return &bridgev2.ConvertedMessage{Parts: []*bridgev2.ConvertedMessagePart{{
		Type: event.EventUnstablePollResponse,
		Content: &event.MessageEventContent{
			RelatesTo: &event.RelatesTo{Type: event.RelReference, EventID: poll.MXID},
		},
		Extra: map[string]any{"org.matrix.msc3381.poll.response": map[string]any{"answers": ids}},
	}}}, nil
}

// optionsOf are the options of a poll by their ids on Matrix.
func optionsOf(message *database.Message, poll *phonenet.Poll) map[string]string {
	if meta := message.Metadata.(*MessageMetadata); meta.PollOptions != nil {
		return meta.PollOptions
	}
	options := make(map[string]string, len(poll.Options))
	for _, option := range poll.Options {
		options[optionID(option)] = option
	}
	return options
}

// HandleMatrixPollStart implements bridgev2.PollHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixPollStart(
	ctx context.Context, msg *bridgev2.MatrixPollStart,
) (*bridgev2.MatrixMessageResponse, error) {
	features := c.GetCapabilities(ctx, msg.Portal)
	asked := msg.Content.PollStart
	switch {
	case features.Poll.Reject(), features.Poll == event.CapLevelUnsupported:
		return nil, refused(event.MessageStatusUnsupported, "%s", "Polls aren't supported in this chat")
	case len(asked.Answers) > features.PollMaxOptions:
		return nil, refused(event.MessageStatusUnsupported, "A poll has at most %d options", features.PollMaxOptions)
	}
	poll := &phonenet.Poll{Question: asked.Question.GetText(), MaxSelections: asked.MaxSelections}
	meta := &MessageMetadata{PollOptions: make(map[string]string, len(asked.Answers))}
	for _, answer := range asked.Answers {
		poll.Options = append(poll.Options, answer.GetText())
		meta.PollOptions[answer.ID] = answer.GetText()
	}
	if poll.MaxSelections >= len(poll.Options) {
		poll.MaxSelections = 0
	}
	draft := c.draftFor(&msg.MatrixMessage)
	draft.Type, draft.Poll = phonenet.TypePoll, poll
	return c.send(ctx, &msg.MatrixMessage, draft, meta)
}

// HandleMatrixPollVote implements bridgev2.PollHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixPollVote(
	_ context.Context, msg *bridgev2.MatrixPollVote,
) (*bridgev2.MatrixMessageResponse, error) {
	session, err := c.ready()
	if err != nil {
		return nil, err
	}
	poll, err := c.main.Network.Message(string(msg.VoteTo.ID))
	if err != nil {
		return nil, err
	}
	options := optionsOf(msg.VoteTo, poll.Poll)
	var chosen []string
	for _, id := range msg.Content.Response.Answers {
		chosen = append(chosen, options[id])
	}
	if err := c.main.Network.Vote(c.account(), poll.ID, chosen, session.Token); err != nil {
		return nil, refused(event.MessageStatusUnsupported, "%s", err.Error())
	}
	return &bridgev2.MatrixMessageResponse{DB: &database.Message{
		ID:       networkid.MessageID(poll.ID + "-vote-" + messageID(msg.Event)),
		SenderID: c.selfIn(msg.Portal),
	}}, nil
}
