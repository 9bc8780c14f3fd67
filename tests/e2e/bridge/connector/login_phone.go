// The login with the number, the code that is sent to it, and a password.

package connector

import (
	"context"
	"errors"

	"maunium.net/go/mautrix/bridgev2"

	"testbridge/phonenet"
)

// maxCodeTries is how often the code may be wrong, in total.
const maxCodeTries = 3

// phoneLogin is the login with the number, the code sent to the phone, and the password if any.
type phoneLogin struct {
	login
	challenge     *phonenet.Challenge
	wrongCodes    int
	needsPassword bool
}

var (
	_ bridgev2.LoginProcessUserInput    = (*phoneLogin)(nil)
	_ bridgev2.LoginProcessWithOverride = (*phoneLogin)(nil)
)

func (l *phoneLogin) Start(context.Context) (*bridgev2.LoginStep, error) {
	return phoneNumberStep(), nil
}

func (l *phoneLogin) StartWithOverride(ctx context.Context, override *bridgev2.UserLogin) (*bridgev2.LoginStep, error) {
	return startWithPhoneOf(ctx, l, override)
}

func (l *phoneLogin) SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error) {
	switch {
	case l.challenge == nil:
		return l.submitPhoneNumber(ctx, input["phone_number"])
	case !l.needsPassword:
		return l.submitCode(ctx, input["code"])
	default:
		account, token, err := l.challenge.EnterPassword(ctx, input["password"])
		if err != nil {
			return nil, respond(err)
		}
		return l.complete(ctx, account, token)
	}
}

func (l *phoneLogin) submitPhoneNumber(ctx context.Context, number string) (*bridgev2.LoginStep, error) {
	challenge, err := l.main.Network.StartChallenge(ctx, number)
	if err != nil {
		return nil, respond(err)
	}
	l.challenge = challenge
	return codeStep("Enter the code that was sent to your phone"), nil
}

// submitCode repeats the step after a wrong code, as some networks do, and fails after too many.
func (l *phoneLogin) submitCode(ctx context.Context, code string) (*bridgev2.LoginStep, error) {
	account, token, needsPassword, err := l.challenge.EnterCode(ctx, code)
	switch {
	case errors.Is(err, phonenet.ErrWrongCode):
		if l.wrongCodes++; l.wrongCodes >= maxCodeTries {
			return nil, ErrTooManyWrongCodes
		}
		return codeStep("That code is not right. Enter the code that was sent to your phone"), nil
	case err != nil:
		return nil, respond(err)
	case needsPassword:
		l.needsPassword = true
		return passwordStep(), nil
	default:
		return l.complete(ctx, account, token)
	}
}

func codeStep(instructions string) *bridgev2.LoginStep {
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeUserInput,
		StepID:       LoginStepIDCode,
		Instructions: instructions,
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{{
			Type: bridgev2.LoginInputFieldType2FACode,
			ID:   "code",
			Name: "Code",
		}}},
	}
}

func passwordStep() *bridgev2.LoginStep {
	return &bridgev2.LoginStep{
		Type:         bridgev2.LoginStepTypeUserInput,
		StepID:       LoginStepIDPassword,
		Instructions: "Your account is protected by a password",
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{{
			Type: bridgev2.LoginInputFieldTypePassword,
			ID:   "password",
			Name: "Password",
		}}},
	}
}

func (l *phoneLogin) Cancel() {}
