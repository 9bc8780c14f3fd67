// Formatting and mentions, both ways.

package connector

import (
	"context"
	"fmt"
	"html"
	"strings"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/event"
	"maunium.net/go/mautrix/id"

	"testbridge/phonenet"
)

// wordsOf are what the network gets of a message's text, which is its caption for files.
func (c *TestnetClient) wordsOf(content *event.MessageEventContent, text string) phonenet.Words {
	words := phonenet.Words{Text: text}
	if content.Format == event.FormatHTML && text != "" {
		words.HTML = content.FormattedBody
	}
	if content.Mentions != nil {
		for _, user := range content.Mentions.UserIDs {
			if account, ok := c.accountOf(user); ok {
				words.Mentions = append(words.Mentions, account)
			}
		}
	}
	return words
}

// accountOf is the account of a Matrix user: of a ghost, or the login's own.
func (c *TestnetClient) accountOf(user id.UserID) (string, bool) {
	if user == c.login.UserMXID {
		return c.account(), true
	}
	ghost, ok := c.main.Bridge.Matrix.ParseGhostMXID(user)
	if !ok {
		return "", false
	}
	account, err := c.main.Network.Account(string(ghost))
	return account.ID, err == nil
}

func setWords(draft *phonenet.Draft, words phonenet.Words) {
	draft.Text, draft.HTML, draft.Mentions = words.Text, words.HTML, words.Mentions
}

// addFormat adds formatting and mentions. As on WhatsApp, a text has @ and the number of whoever is
// mentioned, and Matrix gets the name.
func (c *TestnetClient) addFormat(
	ctx context.Context, portal *bridgev2.Portal, content *event.MessageEventContent, message *phonenet.Message,
) {
	formatted := message.HTML
	if formatted == "" && len(message.Mentions) > 0 {
		formatted = html.EscapeString(message.Text)
	}
	content.Mentions = &event.Mentions{}
	for _, mentioned := range message.Mentions {
		account, err := c.main.Network.Account(mentioned)
		if err != nil {
			continue // the network was reset meanwhile
		}
		user := c.userMXID(ctx, portal, account)
		content.Mentions.Add(user)
		written := "@" + strings.TrimPrefix(account.Phone, "+")
		pill := fmt.Sprintf(`<a href="%s">%s</a>`, user.URI().MatrixToURL(), html.EscapeString(account.Name))
		formatted = strings.ReplaceAll(formatted, written, pill)
		content.Body = strings.ReplaceAll(content.Body, written, account.Name)
	}
	if formatted != "" {
		content.Format, content.FormattedBody = event.FormatHTML, formatted
	}
}

// userMXID is the Matrix user of an account in a chat: its ghost, or the login's user.
func (c *TestnetClient) userMXID(ctx context.Context, portal *bridgev2.Portal, account phonenet.Account) id.UserID {
	if account.ID == c.account() {
		return c.login.UserMXID
	}
	sender := c.sender(account.ID)
	if group, err := c.main.Network.Group(string(portal.ID)); err == nil {
		sender = c.senderIn(&group, account.ID)
	}
	ghost, err := c.main.Bridge.GetGhostByID(ctx, sender.Sender)
	if err != nil {
		return ""
	}
	return ghost.Intent.GetMXID()
}
