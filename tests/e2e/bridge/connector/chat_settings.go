// Settings of chats, from Matrix and to it: who is an admin, when messages disappear, who is blocked.

package connector

import (
	"context"
	"time"

	"go.mau.fi/util/jsontime"
	"go.mau.fi/util/ptr"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/simplevent"
	"maunium.net/go/mautrix/event"

	"testbridge/phonenet"
)

var (
	_ bridgev2.PowerLevelHandlingNetworkAPI     = (*TestnetClient)(nil)
	_ bridgev2.DisappearTimerChangingNetworkAPI = (*TestnetClient)(nil)
	_ bridgev2.UserBlockingNetworkAPI           = (*TestnetClient)(nil)
)

// Power levels of members: an owner can demote an admin.
const (
	levelMember = 0
	levelAdmin  = 50
	levelOwner  = 75
)

// disappearing are the times after which messages can disappear: a day, a week, 90 days.
var disappearing = &event.DisappearingTimerCapability{
	Types:  []event.DisappearingType{event.DisappearingTypeAfterSend},
	Timers: []jsontime.Milliseconds{jsontime.MS(24 * time.Hour), jsontime.MS(7 * 24 * time.Hour), jsontime.MS(90 * 24 * time.Hour)},
}

// HandleMatrixPowerLevels implements bridgev2.PowerLevelHandlingNetworkAPI.
func (c *TestnetClient) HandleMatrixPowerLevels(_ context.Context, msg *bridgev2.MatrixPowerLevelChange) (bool, error) {
	var change phonenet.GroupChange
	for user, level := range msg.Users {
		account, ok := c.accountOf(user)
		if !ok {
			continue
		}
		if level.NewLevel >= levelAdmin {
			change.Promote = append(change.Promote, account)
		} else {
			change.Demote = append(change.Demote, account)
		}
	}
	if err := c.changeGroup(msg.Portal, change); err != nil {
		return false, err
	}
	return true, nil
}

// HandleMatrixDisappearingTimer implements bridgev2.DisappearTimerChangingNetworkAPI.
func (c *TestnetClient) HandleMatrixDisappearingTimer(
	_ context.Context, msg *bridgev2.MatrixDisappearingTimer,
) (bool, error) {
	session, err := c.ready()
	if err != nil {
		return false, err
	}
	setting := database.DisappearingSettingFromEvent(msg.Content).Normalize()
	seconds := int(setting.Timer.Seconds())
	if err := c.main.Network.SetTimer(c.account(), string(msg.Portal.ID), seconds, session.Token); err != nil {
		return false, wrapRefusal(err)
	}
	msg.Portal.Disappear = setting
	return true, nil
}

// timerOf is a chat's setting, in bridgev2's words.
func (c *TestnetClient) timerOf(chat string) *database.DisappearingSetting {
	seconds, err := c.main.Network.Timer(c.account(), chat)
	if err != nil {
		seconds = 0 // the network was reset meanwhile
	}
	return disappearAfter(seconds)
}

func disappearAfter(seconds int) *database.DisappearingSetting {
	return ptr.Ptr(database.DisappearingSetting{
		Type: event.DisappearingTypeAfterSend, Timer: time.Duration(seconds) * time.Second,
	}.Normalize())
}

// handleTimer follows a change that somebody made on a phone.
func (c *TestnetClient) handleTimer(evt phonenet.Event) {
	other := evt.By
	for _, side := range evt.ChatWith {
		if side != c.account() {
			other = side
		}
	}
	key, group, err := c.chatOf(evt.ChatGroup, other)
	if err != nil {
		return // the network was reset meanwhile
	}
	c.login.QueueRemoteEvent(&simplevent.ChatInfoChange{
		EventMeta: simplevent.EventMeta{
			Type: bridgev2.RemoteEventChatInfoChange, PortalKey: key, Sender: c.senderIn(group, evt.By), Timestamp: evt.At,
		},
		ChatInfoChange: &bridgev2.ChatInfoChange{
			ChatInfo: &bridgev2.ChatInfo{Disappear: disappearAfter(ptr.Val(evt.Disappear))},
		},
	})
}

// HandleMatrixBlockUser implements bridgev2.UserBlockingNetworkAPI.
func (c *TestnetClient) HandleMatrixBlockUser(_ context.Context, msg *bridgev2.MatrixBlockUser) error {
	if _, err := c.ready(); err != nil {
		return err
	}
	return c.main.Network.Block(c.account(), string(msg.Portal.ID), msg.Content.Block)
}
