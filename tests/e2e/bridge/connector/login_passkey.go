// The passkey that some accounts ask for after the phone has confirmed a login.

package connector

import (
	"context"
	"encoding/json"
	"errors"

	"maunium.net/go/mautrix/bridgev2"

	"testbridge/phonenet"
)

// passkeyCheck is what a login still has to show, and the session that it then gets.
type passkeyCheck struct {
	login   *login
	request *phonenet.PasskeyRequest
	account string
	token   string
}

// finish completes the login, or first asks for the passkey of an account that has one.
func (p *passkeyCheck) finish(ctx context.Context, login *login, account, token string) (*bridgev2.LoginStep, error) {
	request, err := login.main.Network.PasskeyRequestFor(account)
	if err != nil {
		return nil, err
	}
	if request == nil {
		return login.complete(ctx, account, token)
	}
	publicKey, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	*p = passkeyCheck{login: login, request: request, account: account, token: token}
	return &bridgev2.LoginStep{
		Type:           bridgev2.LoginStepTypeWebAuthn,
		StepID:         LoginStepIDPasskey,
		WebAuthnParams: &bridgev2.LoginWebAuthnParams{URL: phonenet.PasskeyOrigin, PublicKey: publicKey},
	}, nil
}

// SubmitWebAuthnResponse implements bridgev2.LoginProcessWebAuthn.
func (p *passkeyCheck) SubmitWebAuthnResponse(ctx context.Context, response json.RawMessage) (*bridgev2.LoginStep, error) {
	if p.request == nil {
		return nil, errors.New("no passkey was asked for")
	}
	var credential phonenet.Credential
	if err := json.Unmarshal(response, &credential); err != nil {
		return nil, err
	}
	if err := p.login.main.Network.CheckPasskey(p.account, p.request, credential); err != nil {
		return nil, respond(err)
	}
	p.request = nil
	return p.login.complete(ctx, p.account, p.token)
}

// giveUp ends the session of a login that didn't show its passkey.
func (p *passkeyCheck) giveUp() {
	if p.request == nil {
		return
	}
	p.request = nil
	if err := p.login.main.Network.Unlink(p.token); err != nil {
		p.login.user.Log.Err(err).Msg("Failed to end the session of a login that was given up")
	}
}
