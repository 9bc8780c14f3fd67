// Logins that are confirmed on the phone: by a QR code, a pairing code, or an emoji.

package connector

import (
	"context"
	"fmt"
	"time"

	"maunium.net/go/mautrix/bridgev2"

	"testbridge/phonenet"
)

// pairing waits until the phone confirms the code that is shown.
type pairing struct {
	*phonenet.Pairing
	network *phonenet.Network
	shown   int
}

// wait returns next=true when another code is to be shown, else the account and its session.
func (p *pairing) wait(ctx context.Context) (next bool, account, token string, err error) {
	_, index, remaining, valid := p.Current()
	if valid && index > p.shown {
		p.shown = index
		return true, "", "", nil
	}
	timer := time.NewTimer(remaining)
	defer timer.Stop()
	select {
	case <-p.Done():
		account, token, err = p.Result()
		return false, account, token, err
	case <-timer.C:
		if _, p.shown, _, valid = p.Current(); valid {
			return true, "", "", nil
		}
		p.cancel()
		return false, "", "", ErrLoginTimeout
	case <-ctx.Done():
		p.cancel()
		return false, "", "", ctx.Err()
	}
}

func (p *pairing) cancel() {
	if p != nil {
		p.network.Cancel(p.Pairing)
	}
}

// qrLogin is the login by scanning a QR code.
type qrLogin struct {
	login
	passkeyCheck
	pairing *pairing
}

var (
	_ bridgev2.LoginProcessDisplayAndWait = (*qrLogin)(nil)
	_ bridgev2.LoginProcessWebAuthn       = (*qrLogin)(nil)
)

func (l *qrLogin) Start(ctx context.Context) (*bridgev2.LoginStep, error) {
	started, err := l.main.Network.StartQR(ctx)
	if err != nil {
		return nil, err
	}
	l.pairing = &pairing{Pairing: started, network: l.main.Network}
	return l.step(), nil
}

func (l *qrLogin) step() *bridgev2.LoginStep {
	code, _, _, _ := l.pairing.Current()
	return &bridgev2.LoginStep{
		Type:                 bridgev2.LoginStepTypeDisplayAndWait,
		StepID:               LoginStepIDQR,
		Instructions:         "Scan the QR code with the Testnet mobile app to log in",
		DisplayAndWaitParams: &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeQR, Data: code},
	}
}

func (l *qrLogin) Wait(ctx context.Context) (*bridgev2.LoginStep, error) {
	next, account, token, err := l.pairing.wait(ctx)
	switch {
	case err != nil:
		return nil, respond(err)
	case next:
		return l.step(), nil
	default:
		return l.finish(ctx, &l.login, account, token)
	}
}

func (l *qrLogin) Cancel() {
	l.pairing.cancel()
	l.giveUp()
}

// codeLogin is the login by typing a code in on the phone.
type codeLogin struct {
	login
	passkeyCheck
	pairing *pairing
}

var (
	_ bridgev2.LoginProcessUserInput      = (*codeLogin)(nil)
	_ bridgev2.LoginProcessDisplayAndWait = (*codeLogin)(nil)
	_ bridgev2.LoginProcessWithOverride   = (*codeLogin)(nil)
	_ bridgev2.LoginProcessWebAuthn       = (*codeLogin)(nil)
)

func (l *codeLogin) Start(context.Context) (*bridgev2.LoginStep, error) {
	return phoneNumberStep(), nil
}

func (l *codeLogin) StartWithOverride(ctx context.Context, override *bridgev2.UserLogin) (*bridgev2.LoginStep, error) {
	return startWithPhoneOf(ctx, l, override)
}

func (l *codeLogin) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	started, err := l.main.Network.StartPairingCode(ctx, input["phone_number"])
	if err != nil {
		return nil, respond(err)
	}
	l.pairing = &pairing{Pairing: started, network: l.main.Network}
	code, _, _, _ := started.Current()
	return &bridgev2.LoginStep{
		Type:                 bridgev2.LoginStepTypeDisplayAndWait,
		StepID:               LoginStepIDPairingCode,
		Instructions:         "Input the pairing code in the Testnet mobile app to log in",
		DisplayAndWaitParams: &bridgev2.LoginDisplayAndWaitParams{Type: bridgev2.LoginDisplayTypeCode, Data: code},
	}, nil
}

func (l *codeLogin) Wait(ctx context.Context) (*bridgev2.LoginStep, error) {
	_, account, token, err := l.pairing.wait(ctx)
	if err != nil {
		return nil, respond(err)
	}
	return l.finish(ctx, &l.login, account, token)
}

func (l *codeLogin) Cancel() {
	l.pairing.cancel()
	l.giveUp()
}

// emojiLogin is the login by picking, on the phone, the emoji that is shown.
type emojiLogin struct {
	codeLogin
}

func (l *emojiLogin) StartWithOverride(ctx context.Context, override *bridgev2.UserLogin) (*bridgev2.LoginStep, error) {
	return startWithPhoneOf(ctx, l, override)
}

func (l *emojiLogin) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	started, err := l.main.Network.StartEmoji(ctx, input["phone_number"])
	if err != nil {
		return nil, respond(err)
	}
	l.pairing = &pairing{Pairing: started, network: l.main.Network}
	emoji, _, _, _ := started.Current()
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeDisplayAndWait,
		StepID:       LoginStepIDEmoji,
		Instructions: "Tap the emoji that you see here in the Testnet mobile app to log in",
		DisplayAndWaitParams: &bridgev2.LoginDisplayAndWaitParams{
			Type:     bridgev2.LoginDisplayTypeEmoji,
			Data:     emoji,
			ImageURL: fmt.Sprintf("https://testnet.example/emoji/%x.png", []rune(emoji)[0]),
		},
	}, nil
}
