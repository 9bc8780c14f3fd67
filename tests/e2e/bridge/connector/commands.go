// Bot commands for invite links, with the answers of mautrix-whatsapp.

package connector

import (
	"strings"

	"maunium.net/go/mautrix/bridgev2/commands"

	"testbridge/phonenet"
)

// HelpSectionInvites is where help lists the commands.
var HelpSectionInvites = commands.HelpSection{Name: "Group invites", Order: 25}

var cmdResolveLink = &commands.FullHandler{
	Func: fnResolveLink,
	Name: "resolve-link",
	Help: commands.HelpMeta{
		Section:     HelpSectionInvites,
		Description: "Resolve a Testnet group invite link.",
		Args:        "<_group link_>",
	},
	RequiresLogin: true,
}

func fnResolveLink(ce *commands.Event) {
	if len(ce.Args) == 0 {
		ce.Reply("**Usage:** `$cmdprefix resolve-link <group link>`")
		return
	}
	client := clientOf(ce)
	if client == nil {
		return
	}
	if !strings.HasPrefix(ce.Args[0], phonenet.InviteLinkPrefix) {
		ce.Reply("That doesn't look like a group invite link.")
		return
	}
	group, err := client.groupByLink(ce.Args[0])
	if err != nil {
		ce.Reply("Failed to get group info: %v", err)
		return
	}
	ce.Reply("That invite link points at %s (`%s`)", group.Name, group.ID)
}

var cmdJoin = &commands.FullHandler{
	Func: fnJoin,
	Name: "join",
	Help: commands.HelpMeta{
		Section:     HelpSectionInvites,
		Description: "Join a group chat with an invite link.",
		Args:        "<_invite link_>",
	},
	RequiresLogin: true,
}

func fnJoin(ce *commands.Event) {
	if len(ce.Args) == 0 {
		ce.Reply("**Usage:** `$cmdprefix join <invite link>`")
		return
	}
	client := clientOf(ce)
	if client == nil {
		return
	}
	if !strings.HasPrefix(ce.Args[0], phonenet.InviteLinkPrefix) {
		ce.Reply("That doesn't look like a Testnet invite link")
		return
	}
	group, err := client.joinByLink(ce.Args[0])
	if err != nil {
		ce.Reply("Failed to join group: %v", err)
		return
	}
	ce.Log.Debug().Str("group_id", group.ID).Msg("User successfully joined group with link")
	ce.Reply("Successfully joined group `%s`, the portal should be created momentarily", group.ID)
}

// clientOf returns the client of the default login, which is the one that commands are for.
func clientOf(ce *commands.Event) *TestnetClient {
	login := ce.User.GetDefaultLogin()
	if login == nil {
		ce.Reply("Login not found")
		return nil
	}
	return login.Client.(*TestnetClient)
}

func (c *TestnetClient) groupByLink(link string) (phonenet.Group, error) {
	if _, err := c.ready(); err != nil {
		return phonenet.Group{}, err
	}
	return c.main.Network.GroupByLink(link)
}

func (c *TestnetClient) joinByLink(link string) (phonenet.Group, error) {
	if _, err := c.ready(); err != nil {
		return phonenet.Group{}, err
	}
	return c.main.Network.JoinByLink(c.account(), link)
}
