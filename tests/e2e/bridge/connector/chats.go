// Chats and users: what the bridge asks about them, and how it finds new ones.

package connector

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var (
	_ bridgev2.IdentifierResolvingNetworkAPI = (*TestnetClient)(nil)
	_ bridgev2.ContactListingNetworkAPI      = (*TestnetClient)(nil)
	_ bridgev2.UserSearchingNetworkAPI       = (*TestnetClient)(nil)
	_ bridgev2.GhostDMCreatingNetworkAPI     = (*TestnetClient)(nil)
)

// GetChatInfo implements bridgev2.NetworkAPI.
func (c *TestnetClient) GetChatInfo(_ context.Context, portal *bridgev2.Portal) (*bridgev2.ChatInfo, error) {
	switch kindOf(portal.ID) {
	case kindStatus:
		return c.statusInfo(), nil
	case kindGroup, kindChannel:
		group, err := c.main.Network.Group(string(portal.ID))
		if err != nil {
			return nil, err
		}
		return c.groupInfo(&group), nil
	default:
		account, err := c.main.Network.Account(string(portal.ID))
		if err != nil {
			return nil, err
		}
		return c.dmInfo(account.ID), nil
	}
}

func (c *TestnetClient) dmInfo(other string) *bridgev2.ChatInfo {
	return &bridgev2.ChatInfo{
		Type: ptr.Ptr(database.RoomTypeDM),
		Members: &bridgev2.ChatMemberList{
			IsFull:      true,
			OtherUserID: c.main.userID(other),
			MemberMap: bridgev2.ChatMemberMap{}.
				Set(bridgev2.ChatMember{EventSender: c.sender(c.account())}).
				Set(bridgev2.ChatMember{EventSender: c.sender(other)}),
			PowerLevels: &bridgev2.PowerLevelOverrides{Events: map[event.Type]int{event.StateBeeperDisappearingTimer: 0}},
		},
		Disappear:   c.timerOf(other),
		CanBackfill: true,
	}
}

// statusInfo describes the chat of status posts, whose members are nobody's business.
func (c *TestnetClient) statusInfo() *bridgev2.ChatInfo {
	return &bridgev2.ChatInfo{
		Type:  ptr.Ptr(database.RoomTypeDefault),
		Name:  ptr.Ptr("Testnet Status Broadcast"),
		Topic: ptr.Ptr("Testnet status updates from your contacts"),
		Members: &bridgev2.ChatMemberList{
			MemberMap: bridgev2.ChatMemberMap{}.Set(bridgev2.ChatMember{EventSender: c.sender(c.account())}),
		},
	}
}

func wrapAvatar(data []byte) *bridgev2.Avatar {
	hash := sha256.Sum256(data)
	return &bridgev2.Avatar{
		ID:  networkid.AvatarID(hex.EncodeToString(hash[:16])),
		Get: func(context.Context) ([]byte, error) { return data, nil },

		Remove: len(data) == 0,
	}
}

// GetUserInfo implements bridgev2.NetworkAPI.
func (c *TestnetClient) GetUserInfo(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.UserInfo, error) {
	account, err := c.main.Network.Account(string(ghost.ID))
	if err != nil {
		return nil, err
	}
	return c.main.userInfo(account), nil
}

func (tc *TestnetConnector) userInfo(account phonenet.Account) *bridgev2.UserInfo {
	info := &bridgev2.UserInfo{Name: ptr.Ptr(tc.Config.FormatDisplayname(account)), IsBot: ptr.Ptr(false)}
	if account.Phone != "" {
		info.Identifiers = append(info.Identifiers, "tel:"+account.Phone)
	}
	if account.Username != "" {
		info.Identifiers = append(info.Identifiers, "testnet:"+account.Username)
	}
	if account.Avatar != nil {
		info.Avatar = wrapAvatar(account.Avatar)
	}
	return info
}

// identifierShape matches numbers, UUIDs, usernames and LIDs.
var identifierShape = regexp.MustCompile(
	`^(\+?[0-9 ()-]{5,24}|@?[A-Za-z0-9_.]{3,32}|[0-9a-f-]{36}|lid-[0-9]{12,}|[0-9]{12,}@lid)$`)

// ResolveIdentifier implements bridgev2.IdentifierResolvingNetworkAPI for numbers, UUIDs, names and
// LIDs. Whoever has a LID is found by it, however they are looked up.
func (c *TestnetClient) ResolveIdentifier(ctx context.Context, identifier string, _ bool) (*bridgev2.ResolveIdentifierResponse, error) {
	if !identifierShape.MatchString(identifier) {
		return nil, bridgev2.WrapRespErr(errors.New("that is neither a phone number nor a username"), mautrix.MInvalidParam)
	} else if _, err := c.ready(); err != nil {
		return nil, err
	}
	account, err := c.main.Network.Account(identifier)
	if err != nil {
		return nil, bridgev2.WrapRespErr(fmt.Errorf("the server said %s is not on Testnet", identifier), mautrix.MNotFound)
	}
	return c.resolved(ctx, account)
}

func (c *TestnetClient) resolved(ctx context.Context, account phonenet.Account) (*bridgev2.ResolveIdentifierResponse, error) {
	userID := userIDOf(account)
	ghost, err := c.main.Bridge.GetGhostByID(ctx, userID)
	if err != nil {
		return nil, fmt.Errorf("failed to get ghost: %w", err)
	}
	return &bridgev2.ResolveIdentifierResponse{
		Ghost:    ghost,
		UserID:   userID,
		UserInfo: c.main.userInfo(account),
		Chat:     c.dm(account.ID),
	}, nil
}

func (c *TestnetClient) dm(account string) *bridgev2.CreateChatResponse {
	return &bridgev2.CreateChatResponse{PortalKey: c.dmPortalKey(account), PortalInfo: c.dmInfo(account)}
}

// CreateChatWithGhost implements bridgev2.GhostDMCreatingNetworkAPI.
func (c *TestnetClient) CreateChatWithGhost(_ context.Context, ghost *bridgev2.Ghost) (*bridgev2.CreateChatResponse, error) {
	account, err := c.main.Network.Account(string(ghost.ID))
	if err != nil {
		return nil, bridgev2.WrapRespErr(err, mautrix.MNotFound)
	}
	response := c.dm(account.ID)
	if other := userIDOf(account); other != ghost.ID {
		response.DMRedirectedTo = other
	}
	return response, nil
}

// GetContactList implements bridgev2.ContactListingNetworkAPI.
func (c *TestnetClient) GetContactList(ctx context.Context) ([]*bridgev2.ResolveIdentifierResponse, error) {
	if _, err := c.ready(); err != nil {
		return nil, err
	}
	contacts, err := c.main.Network.Contacts(c.account())
	if err != nil {
		return nil, err
	}
	return c.allResolved(ctx, contacts)
}

// SearchUsers implements bridgev2.UserSearchingNetworkAPI.
func (c *TestnetClient) SearchUsers(ctx context.Context, query string) ([]*bridgev2.ResolveIdentifierResponse, error) {
	if _, err := c.ready(); err != nil {
		return nil, err
	}
	return c.allResolved(ctx, c.main.Network.Search(query))
}

func (c *TestnetClient) allResolved(ctx context.Context, accounts []phonenet.Account) ([]*bridgev2.ResolveIdentifierResponse, error) {
	responses := make([]*bridgev2.ResolveIdentifierResponse, len(accounts))
	for i, account := range accounts {
		response, err := c.resolved(ctx, account)
		if err != nil {
			return nil, err
		}
		responses[i] = response
	}
	return responses, nil
}

// syncChatsOnce makes portals for the chats that were there before the login.
func (c *TestnetClient) syncChatsOnce(ctx context.Context) {
	if c.metadata().ChatsSynced || !c.main.Config.SyncChatsOnLogin {
		return
	}
	latest := c.main.Network.Latest(c.account())
	for _, group := range c.main.Network.Groups(c.account()) {
		c.queueResync(c.groupPortalKey(&group), c.groupInfo(&group), latest[group.ID])
		delete(latest, group.ID)
	}
	for account, at := range latest {
		if kindOf(networkid.PortalID(account)) == kindDM {
			c.queueResync(c.dmPortalKey(account), c.dmInfo(account), at)
		}
	}
	c.metadata().ChatsSynced = true
	if err := c.login.Save(ctx); err != nil {
		c.login.Log.Err(err).Msg("Failed to save that chats are synced")
	}
}

// queueResync lets the bridge create or update a portal, and fetch the messages that it lacks.
func (c *TestnetClient) queueResync(key networkid.PortalKey, info *bridgev2.ChatInfo, latest time.Time) {
	c.login.QueueRemoteEvent(&simplevent.ChatResync{
		EventMeta:       simplevent.EventMeta{Type: bridgev2.RemoteEventChatResync, PortalKey: key, CreatePortal: true},
		ChatInfo:        info,
		LatestMessageTS: latest,
	})
}

// handleAccount updates what others see of an account that changed, and what a chat with it can do.
func (c *TestnetClient) handleAccount(ctx context.Context, id string) {
	account, err := c.main.Network.Account(id)
	if err != nil {
		return // the network was reset meanwhile
	}
	if id == c.account() {
		c.reportTimelock()
	}
	c.updateGhost(ctx, account)
	portal, err := c.main.Bridge.GetExistingPortalByKey(ctx, c.dmPortalKey(id))
	if err == nil && portal != nil {
		portal.UpdateCapabilities(ctx, c.login, true)
	}
}

// updateGhost updates the ghosts of an account, if there are any.
func (c *TestnetClient) updateGhost(ctx context.Context, account phonenet.Account) {
	c.main.profiles.Lock()
	defer c.main.profiles.Unlock()
	for _, id := range allUserIDsOf(account) {
		ghost, err := c.main.Bridge.GetExistingGhostByID(ctx, id)
		if err != nil {
			c.login.Log.Err(err).Str("account", account.ID).Msg("Failed to get the ghost of a changed account")
		} else if ghost != nil {
			ghost.UpdateInfo(ctx, c.main.userInfo(account))
		}
	}
}
