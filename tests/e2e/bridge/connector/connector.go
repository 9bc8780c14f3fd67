// Package connector connects bridgev2 to the network of package phonenet.
package connector

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/commands"
	"maunium.net/go/mautrix/bridgev2/database"

	"testbridge/phonenet"
)

// TestnetConnector is the bridge's side of the network as a whole.
type TestnetConnector struct {
	// Network must be set before the bridge starts.
	Network *phonenet.Network
	Config  Config
	Bridge  *bridgev2.Bridge

	// started is set when logins can be loaded.
	started atomic.Bool
	// profiles is held while a ghost's profile is updated: all logins hear of a change at once.
	profiles sync.Mutex
}

var (
	_ bridgev2.NetworkConnector            = (*TestnetConnector)(nil)
	_ bridgev2.IdentifierValidatingNetwork = (*TestnetConnector)(nil)
)

// Init implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) Init(bridge *bridgev2.Bridge) {
	tc.Bridge = bridge
	bridge.Commands.(*commands.Processor).AddHandlers(cmdJoin, cmdResolveLink)
}

// Start implements bridgev2.NetworkConnector. It can delay the network's start, as other bridges
// take their time while their port is open.
func (tc *TestnetConnector) Start(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(tc.Config.StartDelayMS) * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	tc.started.Store(true)
	return nil
}

// GetName implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetName() bridgev2.BridgeName {
	return bridgev2.BridgeName{
		DisplayName:          "Testnet",
		NetworkURL:           "https://testnet.example",
		NetworkID:            "testnet",
		BeeperBridgeType:     "testnet",
		DefaultPort:          29399,
		DefaultCommandPrefix: "!test",
	}
}

// UserLoginMetadata is what the bridge keeps of a login.
type UserLoginMetadata struct {
	// Token is the session's; empty when the network logged the device out.
	Token string `json:"token"`
	// ChatsSynced says that the chats that were there at the login have portals.
	ChatsSynced bool `json:"chats_synced"`
}

// MessageMetadata is what the bridge keeps of a message.
type MessageMetadata struct {
	// PollOptions are the options of a poll by their ids on Matrix, if those were made there.
	PollOptions map[string]string `json:"poll_options,omitempty"`
}

// GetDBMetaTypes implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetDBMetaTypes() database.MetaTypes {
	return database.MetaTypes{
		UserLogin: func() any { return &UserLoginMetadata{} },
		Message:   func() any { return &MessageMetadata{} },
	}
}

// GetCapabilities implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetCapabilities() *bridgev2.NetworkGeneralCapabilities {
	return &bridgev2.NetworkGeneralCapabilities{
		Provisioning: bridgev2.ProvisioningCapabilities{
			ResolveIdentifier: bridgev2.ResolveIdentifierCapabilities{
				CreateDM:       true,
				LookupPhone:    true,
				LookupUsername: true,
				ContactList:    true,
				Search:         true,
			},
			GroupCreation: map[string]bridgev2.GroupTypeCapabilities{
				"group": {
					TypeDescription: "a group chat",
					Name:            bridgev2.GroupFieldCapability{Allowed: true, Required: true, MinLength: 1, MaxLength: 100},
					Topic:           bridgev2.GroupFieldCapability{Allowed: true, MaxLength: 500},
					Participants:    bridgev2.GroupFieldCapability{Allowed: true, MaxLength: 1000},
				},
			},
		},
	}
}

// GetBridgeInfoVersion implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetBridgeInfoVersion() (info, capabilities int) {
	return 1, 4
}

var (
	phoneUserID = regexp.MustCompile(`^[1-9][0-9]{4,14}$`)
	lidUserID   = regexp.MustCompile(`^` + phonenet.LIDPrefix + `[0-9]{12,}$`)
)

// errNotStarted is the error of several bridges when somebody asks about a login too early. As
// bridgev2 remembers the user, the bridge has none of that user's logins until it restarts.
var errNotStarted = errors.New("the network isn't started yet")

// LoadUserLogin implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) LoadUserLogin(_ context.Context, login *bridgev2.UserLogin) error {
	if !tc.started.Load() {
		return errNotStarted
	}
	login.Client = &TestnetClient{main: tc, login: login}
	return nil
}
