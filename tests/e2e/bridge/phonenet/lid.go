// Hidden ids (LIDs): a second id of an account, from which nobody learns its number.

package phonenet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The two ways to write a LID: as the id of a user, and as that of a chat.
const (
	LIDPrefix = "lid-"
	LIDSuffix = "@lid"
)

// lidOf returns the digits of a LID, or "" if the identifier is none.
func lidOf(identifier string) string {
	if digits, ok := strings.CutPrefix(identifier, LIDPrefix); ok {
		return digits
	}
	if digits, ok := strings.CutSuffix(identifier, LIDSuffix); ok {
		return digits
	}
	return ""
}

// Hidden says whether direct chats with the account go by its LID.
func (account *Account) Hidden() bool {
	return account.LID != "" && !account.ChatsByNumber
}

// MoveChats moves the direct chats with an account from its number to its LID, on every device.
func (n *Network) MoveChats(identifier string) (Account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return Account{}, err
	}
	if account.LID == "" {
		return Account{}, fmt.Errorf("%w: %s has no LID", ErrInvalid, account.ID)
	}
	account.ChatsByNumber = false
	n.publish(Event{Kind: EventMoved, By: account.ID}, slices.Collect(maps.Keys(n.accounts)), "")
	return n.saved(account)
}
