// Groups: what the bridge asks about them, and their changes, both ways.

package connector

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var (
	_ bridgev2.GroupCreatingNetworkAPI      = (*TestnetClient)(nil)
	_ bridgev2.MembershipHandlingNetworkAPI = (*TestnetClient)(nil)
	_ bridgev2.RoomNameHandlingNetworkAPI   = (*TestnetClient)(nil)
	_ bridgev2.RoomTopicHandlingNetworkAPI  = (*TestnetClient)(nil)
	_ bridgev2.RoomAvatarHandlingNetworkAPI = (*TestnetClient)(nil)
)

func (c *TestnetClient) groupInfo(group *phonenet.Group) *bridgev2.ChatInfo {
	members := bridgev2.ChatMemberMap{}
	for _, id := range group.Members {
		if group.Channel && id != c.account() {
			continue // subscribers don't see each other
		}
		members.Set(bridgev2.ChatMember{EventSender: c.senderIn(group, id), PowerLevel: ptr.Ptr(levelIn(group, id))})
	}
	info := &bridgev2.ChatInfo{
		Type:        ptr.Ptr(database.RoomTypeDefault),
		Name:        &group.Name,
		Topic:       &group.Topic,
		Members:     &bridgev2.ChatMemberList{IsFull: true, TotalMemberCount: len(members), MemberMap: members},
		Disappear:   c.timerOf(group.ID),
		CanBackfill: true,
	}
	info.Members.PowerLevels = &bridgev2.PowerLevelOverrides{
		Invite: ptr.Ptr(0),
		Events: map[event.Type]int{
			event.StateRoomName: 0, event.StateRoomAvatar: 0, event.StateTopic: 0, event.StateBeeperDisappearingTimer: 0,
		},
	}
	if group.Channel {
		info.Members.IsFull, info.Members.TotalMemberCount = false, len(group.Members)
		info.Members.PowerLevels = &bridgev2.PowerLevelOverrides{EventsDefault: ptr.Ptr(50)}
	}
	if group.Avatar != nil {
		info.Avatar = wrapAvatar(group.Avatar)
	}
	return info
}

func levelIn(group *phonenet.Group, account string) int {
	switch {
	case account == group.Owner:
		return levelOwner
	case slices.Contains(group.Admins, account):
		return levelAdmin
	default:
		return levelMember
	}
}

// CreateGroup implements bridgev2.GroupCreatingNetworkAPI.
func (c *TestnetClient) CreateGroup(_ context.Context, params *bridgev2.GroupCreateParams) (*bridgev2.CreateChatResponse, error) {
	session, err := c.ready()
	if err != nil {
		return nil, err
	}
	request := phonenet.NewGroup{Owner: c.account(), Name: ptr.Val(params.Name).Name, Topic: ptr.Val(params.Topic).Topic}
	for _, participant := range params.Participants {
		request.Members = append(request.Members, string(participant))
	}
	group, err := c.main.Network.CreateGroup(request, session.Token)
	if err != nil {
		return nil, bridgev2.WrapRespErr(err, mautrix.MInvalidParam)
	}
	return &bridgev2.CreateChatResponse{PortalKey: c.groupPortalKey(&group), PortalInfo: c.groupInfo(&group)}, nil
}

// handleGroup follows the changes of a group.
func (c *TestnetClient) handleGroup(change phonenet.Event) {
	self := c.account()
	if slices.Contains(change.Joined, self) {
		c.queueResync(c.groupPortalKey(change.Group), c.groupInfo(change.Group), time.Time{})
		return
	}
	members := bridgev2.ChatMemberMap{}
	for _, id := range change.Joined {
		members.Set(bridgev2.ChatMember{EventSender: c.senderIn(change.Group, id), Membership: event.MembershipJoin})
	}
	for _, id := range change.Left {
		members.Set(bridgev2.ChatMember{EventSender: c.senderIn(change.Group, id), Membership: event.MembershipLeave})
	}
	info := c.groupInfo(change.Group)
	for _, id := range slices.Concat(change.Promoted, change.Demoted) {
		members.Set(bridgev2.ChatMember{
			EventSender: c.senderIn(change.Group, id), Membership: event.MembershipJoin, PowerLevel: ptr.Ptr(levelIn(change.Group, id)),
		})
	}
	info.Members = nil
	c.login.QueueRemoteEvent(&simplevent.ChatInfoChange{
		EventMeta: simplevent.EventMeta{
			Type:      bridgev2.RemoteEventChatInfoChange,
			PortalKey: c.groupPortalKey(change.Group),
			Sender:    c.senderIn(change.Group, change.By),
			Timestamp: change.At,
		},
		ChatInfoChange: &bridgev2.ChatInfoChange{
			ChatInfo:      info,
			MemberChanges: &bridgev2.ChatMemberList{MemberMap: members},
		},
	})
}

// changeGroup changes a group in the name of the login's account.
func (c *TestnetClient) changeGroup(portal *bridgev2.Portal, change phonenet.GroupChange) error {
	if _, err := c.ready(); err != nil {
		return err
	}
	if kindOf(portal.ID) != kindGroup {
		return refused(event.MessageStatusUnsupported, "%s", "Only groups can be changed")
	}
	_, err := c.main.Network.ChangeGroupAs(c.account(), string(portal.ID), change)
	if errors.Is(err, phonenet.ErrNotMember) {
		return refused(event.MessageStatusNoPermission, "%w", err)
	}
	return err
}

// HandleMatrixMembership implements bridgev2.MembershipHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixMembership(
	_ context.Context, msg *bridgev2.MatrixMembershipChange,
) (*bridgev2.MatrixMembershipResult, error) {
	target := c.account()
	if ghost, ok := msg.Target.(*bridgev2.Ghost); ok {
		target = string(ghost.ID)
	}
	var change phonenet.GroupChange
	switch msg.Type {
	case bridgev2.Invite:
		change.Add = []string{target}
	case bridgev2.Kick, bridgev2.Leave:
		change.Remove = []string{target}
	default:
		return nil, nil
	}
	if kindOf(msg.Portal.ID) == kindDM && msg.Type != bridgev2.Invite {
		return nil, nil
	}
	if err := c.changeGroup(msg.Portal, change); err != nil {
		return nil, err
	}
	group, err := c.main.Network.Group(string(msg.Portal.ID))
	if err != nil {
		return nil, err
	}
	account, err := c.main.Network.Account(target)
	if err != nil {
		return nil, err
	}
	return &bridgev2.MatrixMembershipResult{RedirectTo: c.senderIn(&group, account.ID).Sender}, nil
}

// HandleMatrixRoomName implements bridgev2.RoomNameHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixRoomName(_ context.Context, msg *bridgev2.MatrixRoomName) (bool, error) {
	if err := c.changeGroup(msg.Portal, phonenet.GroupChange{Name: &msg.Content.Name}); err != nil {
		return false, err
	}
	msg.Portal.Name, msg.Portal.NameSet = msg.Content.Name, true
	return true, nil
}

// HandleMatrixRoomTopic implements bridgev2.RoomTopicHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixRoomTopic(_ context.Context, msg *bridgev2.MatrixRoomTopic) (bool, error) {
	if err := c.changeGroup(msg.Portal, phonenet.GroupChange{Topic: &msg.Content.Topic}); err != nil {
		return false, err
	}
	msg.Portal.Topic, msg.Portal.TopicSet = msg.Content.Topic, true
	return true, nil
}

// HandleMatrixRoomAvatar implements bridgev2.RoomAvatarHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixRoomAvatar(ctx context.Context, msg *bridgev2.MatrixRoomAvatar) (bool, error) {
	data := []byte{} // removes it
	if msg.Content.URL != "" {
		var err error
		if data, err = c.main.Bridge.Bot.DownloadMedia(ctx, msg.Content.URL, nil); err != nil {
			return false, err
		}
	}
	if err := c.changeGroup(msg.Portal, phonenet.GroupChange{Avatar: data}); err != nil {
		return false, err
	}
	msg.Portal.AvatarMXC, msg.Portal.AvatarHash = msg.Content.URL, sha256.Sum256(data)
	msg.Portal.AvatarID, msg.Portal.AvatarSet = wrapAvatar(data).ID, true
	return true, nil
}
