// How long the messages of a chat stay: settings alone, as nothing really disappears.

package phonenet

import (
	"fmt"
	"slices"
	"strings"
)

// timerKey names a chat: a group, or the two who talk.
func timerKey(chat []string) string {
	return strings.Join(slices.Sorted(slices.Values(chat)), "|")
}

// chatOf is a chat (an account or a group) as an account sees it. The caller holds the lock.
func (n *Network) chatOf(account *Account, chat string) (group string, sides, told []string, err error) {
	if group, ok := n.groups[chat]; ok {
		if !slices.Contains(group.Members, account.ID) {
			return "", nil, nil, ErrNotMember
		}
		return group.ID, []string{group.ID}, group.Members, nil
	}
	other, err := n.account(chat)
	if err != nil {
		return "", nil, nil, err
	}
	sides = []string{account.ID, other.ID}
	return "", sides, sides, nil
}

// SetTimer lets messages of a chat (an account or a group) disappear after seconds; 0: never.
func (n *Network) SetTimer(by, chat string, seconds int, through string) error {
	if seconds < 0 {
		return fmt.Errorf("%w: a time is not negative", ErrInvalid)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	group, sides, told, err := n.chatOf(account, chat)
	if err != nil {
		return err
	}
	n.timers[timerKey(sides)] = &seconds
	event := Event{Kind: EventTimer, By: account.ID, ChatGroup: group, Disappear: &seconds}
	if group == "" {
		event.ChatWith = sides
	}
	n.publish(event, told, through)
	return n.journal.write(recordTimer, timerKey(sides), seconds)
}

// Timer is after how many seconds messages of a chat disappear, as an account sees it; 0: never.
func (n *Network) Timer(viewer, chat string) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(viewer)
	if err != nil {
		return 0, err
	}
	_, sides, _, err := n.chatOf(account, chat)
	if err != nil {
		return 0, err
	}
	if seconds := n.timers[timerKey(sides)]; seconds != nil {
		return *seconds, nil
	}
	return 0, nil
}
