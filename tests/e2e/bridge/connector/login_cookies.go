// The login with the cookies of the web page.

package connector

import (
	"context"

	"maunium.net/go/mautrix/bridgev2"

	"testbridge/phonenet"
)

// cookieLogin is the login with the cookies of the network's web page.
type cookieLogin struct {
	login
}

var _ bridgev2.LoginProcessCookies = (*cookieLogin)(nil)

func (l *cookieLogin) Start(context.Context) (*bridgev2.LoginStep, error) {
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeCookies,
		StepID:       LoginStepIDCookies,
		Instructions: "Log in at testnet.example and extract the cookies",
		CookiesParams: &bridgev2.LoginCookiesParams{
			URL:    "https://testnet.example/login",
			Fields: []bridgev2.LoginCookieField{cookieField("session"), cookieField("csrf")},
		},
	}, nil
}

func cookieField(name string) bridgev2.LoginCookieField {
	return bridgev2.LoginCookieField{
		ID:       name,
		Required: true,
		Sources: []bridgev2.LoginCookieFieldSource{{
			Type: bridgev2.LoginCookieTypeCookie, Name: "testnet_" + name, CookieDomain: "testnet.example",
		}},
		Pattern: "^[0-9a-f]+$",
	}
}

func (l *cookieLogin) SubmitCookies(ctx context.Context, cookies map[string]string) (*bridgev2.LoginStep, error) {
	account, token, err := l.main.Network.LoginWithCookies(ctx, phonenet.Cookies{Session: cookies["session"], CSRF: cookies["csrf"]})
	if err != nil {
		return nil, respond(err)
	}
	return l.complete(ctx, account, token)
}

func (l *cookieLogin) Cancel() {}
