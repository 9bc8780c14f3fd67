// Polls and their votes.

package phonenet

import (
	"fmt"
	"slices"
)

// MaxPollOptions is how many options a poll has at most.
const MaxPollOptions = 12

// Poll is a question with options to choose from.
type Poll struct {
	Question string   `json:"question"`
	Options  []string `json:"options"`
	// MaxSelections is how many options may be chosen; 0 for any number.
	MaxSelections int `json:"max_selections,omitempty"`
}

func (poll *Poll) validate() error {
	if poll == nil || poll.Question == "" || len(poll.Options) < 2 || len(poll.Options) > MaxPollOptions {
		return fmt.Errorf("%w: a poll needs a question and 2 to %d options", ErrInvalid, MaxPollOptions)
	}
	return nil
}

// Vote replaces the options that an account has chosen in a poll; no options take its vote back.
func (n *Network) Vote(by, id string, options []string, through string) error {
	return n.change(by, id, through, func(account *Account, message *Message) (Event, error) {
		poll := message.Poll
		if poll == nil {
			return Event{}, fmt.Errorf("%w: message %q is no poll", ErrInvalid, id)
		}
		if poll.MaxSelections > 0 && len(options) > poll.MaxSelections {
			return Event{}, fmt.Errorf("%w: at most %d options can be chosen", ErrInvalid, poll.MaxSelections)
		}
		for _, option := range options {
			if !slices.Contains(poll.Options, option) {
				return Event{}, fmt.Errorf("%w: the poll has no option %q", ErrInvalid, option)
			}
		}
		if len(options) == 0 {
			delete(message.Votes, account.ID)
		} else {
			if message.Votes == nil {
				message.Votes = make(map[string][]string)
			}
			message.Votes[account.ID] = options
		}
		return Event{Kind: EventVote, Votes: options}, nil
	})
}
