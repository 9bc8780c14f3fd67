// Ids of chats and users on Matrix, made of the network's.

package connector

import (
	"strings"

	"github.com/google/uuid"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"

	"testbridge/phonenet"
)

// chatKind says what a chat is.
type chatKind int

const (
	kindDM chatKind = iota
	kindGroup
	kindChannel
	kindStatus
)

// kindOf tells a chat's kind by the shape of its id.
func kindOf(id networkid.PortalID) chatKind {
	switch {
	case id == phonenet.StatusBroadcast:
		return kindStatus
	case strings.HasSuffix(string(id), phonenet.GroupSuffix):
		return kindGroup
	case strings.HasSuffix(string(id), phonenet.ChannelSuffix):
		return kindChannel
	default:
		return kindDM
	}
}

// groupIDOf is the network's id of a chat that is not with one account; "" otherwise.
func groupIDOf(portal *bridgev2.Portal) string {
	if kindOf(portal.ID) == kindDM {
		return ""
	}
	return string(portal.ID)
}

// userIDOf is the id of the ghost by which direct chats with an account go: its LID's, if any.
func userIDOf(account phonenet.Account) networkid.UserID {
	if account.Hidden() {
		return networkid.UserID(phonenet.LIDPrefix + account.LID)
	}
	return networkid.UserID(account.ID)
}

// allUserIDsOf are the ids of all ghosts that an account can have.
func allUserIDsOf(account phonenet.Account) []networkid.UserID {
	ids := []networkid.UserID{networkid.UserID(account.ID)}
	if account.LID != "" {
		ids = append(ids, networkid.UserID(phonenet.LIDPrefix+account.LID))
	}
	return ids
}

// userID is userIDOf of an account's id.
func (tc *TestnetConnector) userID(id string) networkid.UserID {
	account, err := tc.Network.Account(id)
	if err != nil {
		return networkid.UserID(id) // the network was reset meanwhile
	}
	return userIDOf(account)
}

// ValidateUserID implements bridgev2.IdentifierValidatingNetwork: a number, a UUID, or a LID.
func (tc *TestnetConnector) ValidateUserID(id networkid.UserID) bool {
	return phoneUserID.MatchString(string(id)) || lidUserID.MatchString(string(id)) || uuid.Validate(string(id)) == nil
}

// dmPortalKey is the key of the chat with an account: each login has a room of its own.
func (c *TestnetClient) dmPortalKey(account string) networkid.PortalKey {
	id := networkid.PortalID(account)
	if lid, ok := strings.CutPrefix(string(c.main.userID(account)), phonenet.LIDPrefix); ok {
		id = networkid.PortalID(lid + phonenet.LIDSuffix)
	}
	return networkid.PortalKey{ID: id, Receiver: c.login.ID}
}

// groupPortalKey is the key of a group: members share a room, unless configured otherwise.
func (c *TestnetClient) groupPortalKey(group *phonenet.Group) networkid.PortalKey {
	key := networkid.PortalKey{ID: networkid.PortalID(group.ID)}
	if group.PerUser || c.main.Bridge.Config.SplitPortals {
		key.Receiver = c.login.ID
	}
	return key
}

// chatOf is where something was said: the portal's key, and the group if it is one.
func (c *TestnetClient) chatOf(groupID, other string) (networkid.PortalKey, *phonenet.Group, error) {
	switch groupID {
	case "":
		return c.dmPortalKey(other), nil, nil
	case phonenet.StatusBroadcast:
		return networkid.PortalKey{ID: phonenet.StatusBroadcast, Receiver: c.login.ID}, nil, nil
	}
	group, err := c.main.Network.Group(groupID)
	if err != nil {
		return networkid.PortalKey{}, nil, err
	}
	return c.groupPortalKey(&group), &group, nil
}

// sender is an account as it speaks in direct chats.
func (c *TestnetClient) sender(account string) bridgev2.EventSender {
	return c.senderAs(account, c.main.userID(account))
}

// senderIn is an account as it speaks in a group, or elsewhere if that is nil. What a channel says
// comes from nobody: from the bridge's bot.
func (c *TestnetClient) senderIn(group *phonenet.Group, account string) bridgev2.EventSender {
	switch {
	case group == nil:
		return c.sender(account)
	case group.Channel && account == group.Owner && account != c.account():
		return bridgev2.EventSender{}
	case group.ByNumber:
		return c.senderAs(account, networkid.UserID(account))
	default:
		return c.sender(account)
	}
}

func (c *TestnetClient) senderAs(account string, id networkid.UserID) bridgev2.EventSender {
	return bridgev2.EventSender{IsFromMe: account == c.account(), SenderLogin: loginIDOf(account), Sender: id}
}

// selfIn is the login's own user id in a chat.
func (c *TestnetClient) selfIn(portal *bridgev2.Portal) networkid.UserID {
	if group, err := c.main.Network.Group(string(portal.ID)); err == nil {
		return c.senderIn(&group, c.account()).Sender
	}
	return c.sender(c.account()).Sender
}
