// Direct chats that move from a number's ghost to a LID's.

package connector

import (
	"context"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/event"
)

// moveChats moves all chats that the network has moved while the bridge wasn't running.
func (c *TestnetClient) moveChats(ctx context.Context) {
	for _, account := range c.main.Network.Accounts() {
		if account.Hidden() {
			c.handleMoved(ctx, account.ID)
		}
	}
}

// handleMoved moves the login's chat with an account to its LID: the room stays and changes its
// ghost, or, if there is one for the LID already, it is closed in favour of that.
func (c *TestnetClient) handleMoved(ctx context.Context, account string) {
	source := networkid.PortalKey{ID: networkid.PortalID(account), Receiver: c.login.ID}
	result, portal, err := c.main.Bridge.ReIDPortal(ctx, source, c.dmPortalKey(account))
	if err != nil {
		c.login.Log.Err(err).Str("account", account).Msg("Failed to move a chat to a LID")
		return
	}
	if result == bridgev2.ReIDResultSourceReIDd || result == bridgev2.ReIDResultTargetDeletedAndSourceReIDd {
		if err := c.replaceGhost(ctx, portal, networkid.UserID(account), c.main.userID(account)); err != nil {
			c.login.Log.Err(err).Str("account", account).Msg("Failed to replace the ghost of a moved chat")
		}
	}
}

// replaceGhost lets the new ghost take the old one's place in a room.
func (c *TestnetClient) replaceGhost(ctx context.Context, portal *bridgev2.Portal, from, to networkid.UserID) error {
	old, err := c.main.Bridge.GetGhostByID(ctx, from)
	if err != nil {
		return err
	}
	next, err := c.main.Bridge.GetGhostByID(ctx, to)
	if err != nil {
		return err
	}
	next.UpdateInfoIfNecessary(ctx, c.login, bridgev2.RemoteEventUnknown)
	for _, step := range []struct {
		by         bridgev2.MatrixAPI
		whose      bridgev2.MatrixAPI
		membership event.Membership
	}{
		{old.Intent, old.Intent, event.MembershipLeave},
		{c.main.Bridge.Bot, next.Intent, event.MembershipInvite},
		{next.Intent, next.Intent, event.MembershipJoin},
	} {
		content := &event.Content{
			Parsed: &event.MemberEventContent{Membership: step.membership, Reason: "Moving to LIDs"},
			Raw:    map[string]any{"com.beeper.exclude_from_timeline": true},
		}
		if _, err := step.by.SendState(
			ctx, portal.MXID, event.StateMember, step.whose.GetMXID().String(), content, time.Time{},
		); err != nil {
			return err
		}
	}
	portal.OtherUserID = to
	if err := portal.Save(ctx); err != nil {
		return err
	}
	portal.UpdateBridgeInfo(ctx)
	return nil
}
