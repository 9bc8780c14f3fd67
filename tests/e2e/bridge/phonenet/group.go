// Groups: their members, names and invite links.

package phonenet

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// InviteLinkPrefix begins every invite link.
const InviteLinkPrefix = "https://join.testnet.example/"

// The end of a chat's id says what it is.
const (
	GroupSuffix   = "@group"
	ChannelSuffix = "@newsletter"
	// StatusBroadcast is the chat of status posts, for all who have the author in their contacts.
	StatusBroadcast = "status@broadcast"
)

// ErrInviteLinkInvalid says that an invite link leads nowhere.
var ErrInviteLinkInvalid = errors.New("that group invite link is not valid")

// ErrInviteLinkRevoked says that an invite link leads nowhere any more.
var ErrInviteLinkRevoked = errors.New("that group invite link has been revoked")

// Group is a chat of several accounts.
type Group struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Topic   string   `json:"topic,omitempty"`
	Avatar  []byte   `json:"avatar,omitempty"`
	Owner   string   `json:"owner"`
	Members []string `json:"members"`
	// Admins are the members who may remove others, beside the owner.
	Admins []string `json:"admins,omitempty"`
	// PerUser gives each member a copy of the chat, as in the small groups of some networks.
	PerUser bool `json:"per_user,omitempty"`
	// Channel lets only the owner write; members read.
	Channel bool `json:"channel,omitempty"`
	// ByNumber addresses members by their numbers, even those who have a LID.
	ByNumber bool `json:"by_number,omitempty"`
	// Features are what the chat can do; nil: what chats usually can.
	Features   json.RawMessage `json:"features,omitempty"`
	InviteLink string          `json:"invite_link"`
	Revoked    []string        `json:"revoked_links,omitempty"`
}

// NewGroup describes a group to make.
type NewGroup struct {
	Name    string   `json:"name"`
	Topic   string   `json:"topic"`
	Avatar  []byte   `json:"avatar"`
	Owner   string   `json:"owner"`
	Members []string `json:"members"`
	PerUser bool     `json:"per_user"`

	Channel  bool            `json:"channel"`
	ByNumber bool            `json:"by_number"`
	Features json.RawMessage `json:"features"`
}

// CreateGroup makes a group of owner and members. `through` is the owner's device, if any.
func (n *Network) CreateGroup(request NewGroup, through string) (Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	members, err := n.accountIDs(append([]string{request.Owner}, request.Members...))
	if err != nil {
		return Group{}, err
	}
	group := &Group{
		ID:         randomDigits(18) + GroupSuffix,
		Name:       request.Name,
		Topic:      request.Topic,
		Avatar:     request.Avatar,
		Owner:      members[0],
		Members:    members,
		PerUser:    request.PerUser,
		InviteLink: newInviteLink(),
		Channel:    request.Channel,
		ByNumber:   request.ByNumber,
		Features:   request.Features,
	}
	if group.Channel {
		group.ID = randomDigits(18) + ChannelSuffix
	}
	n.groups[group.ID] = group
	return n.changedGroup(group, Event{By: group.Owner, Joined: members}, through)
}

func newInviteLink() string {
	return InviteLinkPrefix + randomHex(11)
}

// GroupChange is a change of a group; nil fields stay.
type GroupChange struct {
	Name   *string  `json:"name"`
	Topic  *string  `json:"topic"`
	Avatar []byte   `json:"avatar"`
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
	// Promote and Demote make admins of members, and members of admins.
	Promote []string `json:"promote"`
	Demote  []string `json:"demote"`
	// ResetInviteLink revokes the invite link and makes a new one.
	ResetInviteLink bool `json:"reset_invite_link"`

	Features json.RawMessage `json:"features"`
}

// ChangeGroup changes a group, in the name of its owner.
func (n *Network) ChangeGroup(id string, change GroupChange) (Group, error) {
	group, err := n.Group(id)
	if err != nil {
		return Group{}, err
	}
	return n.ChangeGroupAs(group.Owner, id, change)
}

// ChangeGroupAs changes a group in the name of a member, whose device hears of it, too. Only the
// owner and admins remove others, and make admins.
func (n *Network) ChangeGroupAs(by, id string, change GroupChange) (Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	group, err := n.group(id)
	if err != nil {
		return Group{}, err
	}
	if by != group.Owner && !slices.Contains(group.Members, by) {
		return Group{}, ErrNotMember
	}
	add, err := n.accountIDs(change.Add)
	if err != nil {
		return Group{}, err
	}
	remove, err := n.accountIDs(change.Remove)
	if err != nil {
		return Group{}, err
	}
	promote, err := n.accountIDs(change.Promote)
	if err != nil {
		return Group{}, err
	}
	demote, err := n.accountIDs(change.Demote)
	if err != nil {
		return Group{}, err
	}
	others := slices.DeleteFunc(slices.Concat(remove, promote, demote), func(id string) bool { return id == by })
	if len(others) > 0 && by != group.Owner && !slices.Contains(group.Admins, by) {
		return Group{}, fmt.Errorf("%w: only the owner and admins do that", ErrNotAdmin)
	}
	setIfGiven(&group.Name, change.Name)
	setIfGiven(&group.Topic, change.Topic)
	if change.Avatar != nil {
		group.Avatar = change.Avatar
	}
	if change.Features != nil {
		group.Features = change.Features
	}
	if change.ResetInviteLink {
		group.Revoked = append(group.Revoked, group.InviteLink)
		group.InviteLink = newInviteLink()
	}
	add = slices.DeleteFunc(add, func(id string) bool { return slices.Contains(group.Members, id) })
	remove = slices.DeleteFunc(remove, func(id string) bool { return !slices.Contains(group.Members, id) })
	group.Members = append(slices.Clone(group.Members), add...)
	// Removed members get the event, too, so they leave the list afterwards.
	event := Event{By: by, Joined: add, Left: remove, Promoted: promote, Demoted: demote}
	left := slices.Clone(group.Members)
	group.Members = slices.DeleteFunc(slices.Clone(group.Members), func(id string) bool { return slices.Contains(remove, id) })
	group.Admins = slices.DeleteFunc(slices.Concat(group.Admins, promote), func(id string) bool {
		return slices.Contains(demote, id) || !slices.Contains(group.Members, id)
	})
	slices.Sort(group.Admins)
	group.Admins = slices.Compact(group.Admins)
	return n.changedGroupTold(group, event, left, "")
}

func (n *Network) changedGroup(group *Group, event Event, through string) (Group, error) {
	return n.changedGroupTold(group, event, group.Members, through)
}

func (n *Network) changedGroupTold(group *Group, event Event, told []string, through string) (Group, error) {
	copied := *group
	event.Kind, event.Group = EventGroup, &copied
	n.publish(event, told, through)
	return copied, n.journal.write(recordGroup, group.ID, group)
}

// Groups returns all groups, or those of a member, ordered by id.
func (n *Network) Groups(member string) []Group {
	n.mu.Lock()
	defer n.mu.Unlock()
	groups := []Group{}
	for _, id := range slices.Sorted(maps.Keys(n.groups)) {
		if member == "" || slices.Contains(n.groups[id].Members, member) {
			groups = append(groups, *n.groups[id])
		}
	}
	return groups
}

// Group returns a group.
func (n *Network) Group(id string) (Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	group, err := n.group(id)
	if err != nil {
		return Group{}, err
	}
	return *group, nil
}

func (n *Network) group(id string) (*Group, error) {
	if group, ok := n.groups[id]; ok {
		return group, nil
	}
	return nil, fmt.Errorf("%w: group %q", ErrNotFound, id)
}

// mayWrite says why an account can't write in a group, channel or [StatusBroadcast].
func (n *Network) mayWrite(sender, id string) error {
	if id == StatusBroadcast {
		return nil
	}
	group, err := n.group(id)
	switch {
	case err != nil:
		return err
	case group.Channel && sender != group.Owner, !slices.Contains(group.Members, sender):
		return ErrNotMember
	}
	return nil
}

// audienceOf returns who sees the status posts of an account: itself and who knows it.
func (n *Network) audienceOf(author string) []string {
	audience := []string{author}
	for _, id := range slices.Sorted(maps.Keys(n.accounts)) {
		if id != author && slices.Contains(n.accounts[id].Contacts, author) {
			audience = append(audience, id)
		}
	}
	return audience
}

// GroupByLink returns the group that an invite link leads to.
func (n *Network) GroupByLink(link string) (Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	group, err := n.groupByLink(link)
	if err != nil {
		return Group{}, err
	}
	return *group, nil
}

func (n *Network) groupByLink(link string) (*Group, error) {
	link = strings.TrimRight(link, "/")
	for _, group := range n.groups {
		if group.InviteLink == link {
			return group, nil
		}
		if slices.Contains(group.Revoked, link) {
			return nil, ErrInviteLinkRevoked
		}
	}
	return nil, ErrInviteLinkInvalid
}

// JoinByLink makes an account a member of an invite link's group. Joining twice does nothing.
func (n *Network) JoinByLink(account, link string) (Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	group, err := n.groupByLink(link)
	if err != nil {
		return Group{}, err
	}
	if slices.Contains(group.Members, account) {
		return *group, nil
	}
	group.Members = append(slices.Clone(group.Members), account)
	return n.changedGroup(group, Event{By: account, Joined: []string{account}}, "")
}
