// What the network does with the messages of a linked device.

package phonenet

import (
	"fmt"
)

// OutcomeKind says what the network does with a message that a linked device sends.
type OutcomeKind string

// The kinds of outcome.
const (
	OutcomeSuccess   OutcomeKind = "success"
	OutcomeRetriable OutcomeKind = "retriable" // refused for now
	OutcomePermanent OutcomeKind = "permanent" // refused for good
	OutcomeHold      OutcomeKind = "hold"      // no answer, until it is released
)

// Outcome is the network's reaction to a message of a linked device.
type Outcome struct {
	Kind    OutcomeKind `json:"outcome"`
	Reason  string      `json:"reason"`   // machine-readable, of a refusal
	Message string      `json:"message"`  // for people, of a refusal
	DelayMS int         `json:"delay_ms"` // before the answer
	Times   int         `json:"times"`    // how many messages it is for; 0 is 1
}

func (outcome Outcome) validate() error {
	switch outcome.Kind {
	case OutcomeSuccess, OutcomeRetriable, OutcomePermanent, OutcomeHold:
		return nil
	default:
		return fmt.Errorf("%w: there is no outcome %q", ErrInvalid, outcome.Kind)
	}
}

// Refusal is the error of a message that the network refused.
type Refusal struct {
	Permanent bool
	Reason    string
	Message   string
}

func (r *Refusal) Error() string {
	return r.Message
}

func (outcome Outcome) refusal() *Refusal {
	switch outcome.Kind {
	case OutcomeRetriable, OutcomePermanent:
	default:
		return nil
	}
	refusal := &Refusal{Permanent: outcome.Kind == OutcomePermanent, Reason: outcome.Reason, Message: outcome.Message}
	if refusal.Message == "" {
		refusal.Message = "the network refused the message"
	}
	return refusal
}

// SetOutcomes replaces the outcomes of the next messages from an account's linked device.
func (n *Network) SetOutcomes(identifier string, outcomes []Outcome) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return err
	}
	for i, outcome := range outcomes {
		if err := outcome.validate(); err != nil {
			return err
		}
		outcomes[i].Times = max(outcome.Times, 1)
	}
	account.outcomes = outcomes
	return nil
}

func (account *Account) nextOutcome() Outcome {
	if len(account.outcomes) == 0 {
		return Outcome{Kind: OutcomeSuccess}
	}
	outcome := account.outcomes[0]
	if account.outcomes[0].Times--; account.outcomes[0].Times == 0 {
		account.outcomes = account.outcomes[1:]
	}
	return outcome
}
