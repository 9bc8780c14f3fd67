// A login's connection to the network, and its reported states.

package connector

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/google/uuid"
	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/networkid"
	"maunium.net/go/mautrix/bridgev2/status"

	"testbridge/phonenet"
)

// TestnetClient is a login: the device that is linked to one account.
type TestnetClient struct {
	main    *TestnetConnector
	login   *bridgev2.UserLogin
	session atomic.Pointer[phonenet.Session]
}

var (
	_ bridgev2.NetworkAPI           = (*TestnetClient)(nil)
	_ bridgev2.NetworkAPIWithUserID = (*TestnetClient)(nil)
	_ status.BridgeStateFiller      = (*TestnetClient)(nil)
)

// Error codes of bridge states.
const (
	ErrorNotLoggedIn  status.BridgeStateErrorCode = "testnet-not-logged-in"
	ErrorLoggedOut    status.BridgeStateErrorCode = "testnet-logged-out"
	ErrorDisconnected status.BridgeStateErrorCode = "testnet-disconnected"
	ErrorUnreachable  status.BridgeStateErrorCode = "testnet-network-unreachable"
	ErrorUnknown      status.BridgeStateErrorCode = "testnet-unknown-error"
)

func init() {
	status.BridgeStateHumanErrors.Update(status.BridgeStateErrorMap{
		ErrorNotLoggedIn:  "You're not logged into Testnet. Relogin to continue using the bridge.",
		ErrorLoggedOut:    "You were logged out from another device. Relogin to continue using the bridge.",
		ErrorDisconnected: "Disconnected from Testnet. Trying to reconnect.",
		ErrorUnreachable:  "Testnet can't be reached. Trying to reconnect.",
		ErrorUnknown:      "Testnet closed the connection for an unknown reason.",
	})
}

func (c *TestnetClient) metadata() *UserLoginMetadata {
	return c.login.Metadata.(*UserLoginMetadata)
}

// Connect implements bridgev2.NetworkAPI.
func (c *TestnetClient) Connect(ctx context.Context) {
	if c.metadata().Token == "" {
		c.login.BridgeState.Send(status.BridgeState{
			StateEvent: status.StateBadCredentials, Error: ErrorNotLoggedIn, UserAction: status.UserActionRelogin,
		})
		return
	}
	c.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnecting})
	c.moveChats(ctx)
	session, err := c.main.Network.Attach(c.metadata().Token, c.handleEvent)
	switch {
	case errors.Is(err, phonenet.ErrLoggedOut):
		c.loggedOut(ctx)
	case err != nil:
		c.login.Log.Err(err).Msg("Failed to attach to the network")
		c.login.BridgeState.Send(status.BridgeState{
			StateEvent: status.StateUnknownError, Error: ErrorUnknown, Info: map[string]any{"go_error": err.Error()},
		})
	default:
		c.session.Store(session)
	}
}

// Disconnect implements bridgev2.NetworkAPI.
func (c *TestnetClient) Disconnect() {
	if session := c.session.Swap(nil); session != nil {
		session.Detach()
	}
}

// IsLoggedIn implements bridgev2.NetworkAPI.
func (c *TestnetClient) IsLoggedIn() bool {
	return c.metadata().Token != ""
}

// LogoutRemote implements bridgev2.NetworkAPI.
func (c *TestnetClient) LogoutRemote(ctx context.Context) {
	session := c.session.Swap(nil)
	if session == nil {
		return
	}
	if err := session.Logout(); err != nil {
		c.login.Log.Err(err).Msg("Failed to log out")
	}
	c.forgetSession(ctx)
}

// loginIDOf is the id of an account's login: the digits of its number or, for a UUID, a session's
// id, as on networks whose login ids aren't user ids.
func loginIDOf(account string) networkid.UserLoginID {
	if uuid.Validate(account) == nil {
		return networkid.UserLoginID(sessionPrefix + account)
	}
	return networkid.UserLoginID(account)
}

const sessionPrefix = "Session/"

// isSession tells ids that are nobody's user id; such a login's profile has no address, either.
func isSession(id networkid.UserLoginID) bool {
	return strings.HasPrefix(string(id), sessionPrefix)
}

// account is the id of the login's account.
func (c *TestnetClient) account() string {
	return strings.TrimPrefix(string(c.login.ID), sessionPrefix)
}

// GetUserID implements bridgev2.NetworkAPIWithUserID.
func (c *TestnetClient) GetUserID() networkid.UserID {
	return networkid.UserID(c.account())
}

// IsThisUser implements bridgev2.NetworkAPI.
func (c *TestnetClient) IsThisUser(_ context.Context, userID networkid.UserID) bool {
	return userID == c.GetUserID() || userID == c.main.userID(c.account())
}

// ready returns the session if it can be used now.
func (c *TestnetClient) ready() (*phonenet.Session, error) {
	session := c.session.Load()
	if session == nil {
		return nil, bridgev2.ErrNotLoggedIn
	}
	if err := session.Ready(); errors.Is(err, phonenet.ErrLoggedOut) {
		return nil, bridgev2.ErrNotLoggedIn
	} else if err != nil {
		return nil, err
	}
	return session, nil
}

func (c *TestnetClient) forgetSession(ctx context.Context) {
	c.metadata().Token = ""
	if err := c.login.Save(ctx); err != nil {
		c.login.Log.Err(err).Msg("Failed to save login")
	}
}

// loggedOut keeps the login without its session, so that a new login of the user keeps the portals.
func (c *TestnetClient) loggedOut(ctx context.Context) {
	c.forgetSession(ctx)
	c.login.BridgeState.Send(status.BridgeState{
		StateEvent: status.StateBadCredentials, Error: ErrorLoggedOut, UserAction: status.UserActionRelogin,
	})
}

// handleConnection tells the bridge about the state of the connection.
func (c *TestnetClient) handleConnection(ctx context.Context, connection phonenet.Connection) {
	state := status.BridgeState{Reason: connection.Message}
	switch connection.State {
	case phonenet.Connected:
		c.syncChatsOnce(ctx)
		state.StateEvent = status.StateConnected
	case phonenet.Connecting:
		state.StateEvent = status.StateConnecting
	case phonenet.Disconnected:
		state.StateEvent, state.Error = status.StateTransientDisconnect, ErrorDisconnected
	case phonenet.Failed:
		state.StateEvent, state.Error = status.StateUnknownError, ErrorUnknown
	case phonenet.LoggedOut:
		c.session.Store(nil)
		c.loggedOut(ctx)
		return
	}
	if connection.Reason != "" && state.Error != "" {
		state.Error = status.BridgeStateErrorCode("testnet-" + connection.Reason)
		state.Message = connection.Message
	}
	c.login.BridgeState.Send(state)
}

// FillBridgeState implements status.BridgeStateFiller: the account may write to nobody new until then.
func (c *TestnetClient) FillBridgeState(state status.BridgeState) status.BridgeState {
	account, err := c.main.Network.Account(c.account())
	if err == nil && !account.TimelockUntil.IsZero() {
		if state.Info == nil {
			state.Info = make(map[string]any)
		}
		state.Info["reachout_timelock_until"] = account.TimelockUntil
	}
	return state
}

// reportTimelock repeats the state, with what FillBridgeState adds, if the login is connected.
func (c *TestnetClient) reportTimelock() {
	if c.login.BridgeState.GetPrevUnsent().StateEvent == status.StateConnected {
		c.login.BridgeState.Send(status.BridgeState{StateEvent: status.StateConnected})
	}
}
