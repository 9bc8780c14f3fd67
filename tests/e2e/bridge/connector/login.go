// Login flows, and what they have in common.

package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"maunium.net/go/mautrix/bridgev2"
	"maunium.net/go/mautrix/bridgev2/database"
	"maunium.net/go/mautrix/bridgev2/status"

	"testbridge/phonenet"
)

// IDs of login flows.
const (
	LoginFlowIDQR      = "qr"
	LoginFlowIDCode    = "code"
	LoginFlowIDPhone   = "phone"
	LoginFlowIDCookies = "cookies"
	LoginFlowIDEmoji   = "emoji"
	LoginFlowIDChoose  = "choose"
	LoginFlowIDNovel   = "novel"
)

// IDs of login steps.
const (
	LoginStepIDQR          = "example.testnet.login.qr"
	LoginStepIDPhoneNumber = "example.testnet.login.phone_number"
	LoginStepIDPairingCode = "example.testnet.login.pairing_code"
	LoginStepIDCode        = "example.testnet.login.code"
	LoginStepIDPassword    = "example.testnet.login.password"
	LoginStepIDCookies     = "example.testnet.login.cookies"
	LoginStepIDEmoji       = "example.testnet.login.emoji"
	LoginStepIDPasskey     = "example.testnet.login.passkey"
	LoginStepIDChoose      = "example.testnet.login.choose"
	LoginStepIDNovel       = "example.testnet.login.novel"
	LoginStepIDComplete    = "example.testnet.login.complete"
)

// Errors that users get to see.
var (
	ErrLoginTimeout = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.LOGIN_TIMEOUT",
		Err:        "Entering code or scanning QR timed out. Please try again.",
		StatusCode: http.StatusBadRequest,
	}
	ErrLoginDenied = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.LOGIN_DENIED",
		Err:        "The login was refused on the phone.",
		StatusCode: http.StatusForbidden,
	}
	ErrUnknownPhoneNumber = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.PHONE_NUMBER_UNKNOWN",
		Err:        "Nobody on Testnet has that phone number.",
		StatusCode: http.StatusBadRequest,
	}
	ErrTooManyWrongCodes = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.TOO_MANY_WRONG_CODES",
		Err:        "Too many wrong codes. Please start again.",
		StatusCode: http.StatusBadRequest,
	}
	ErrWrongPassword = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.WRONG_PASSWORD",
		Err:        "The password is not right. Please start again.",
		StatusCode: http.StatusForbidden,
	}
	ErrWrongPasskey = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.WRONG_PASSKEY",
		Err:        "That passkey is not right. Please start again.",
		StatusCode: http.StatusForbidden,
	}
	ErrWrongCookies = bridgev2.RespError{
		ErrCode:    "EXAMPLE.TESTNET.WRONG_COOKIES",
		Err:        "Those cookies are not valid.",
		StatusCode: http.StatusForbidden,
	}
)

// respond turns an error of the network into one for users. Others, such as an unreachable network,
// stay as they are: the bridge answers with an internal error.
func respond(err error) error {
	for cause, response := range map[error]error{
		phonenet.ErrPairingDenied: ErrLoginDenied,
		phonenet.ErrNotFound:      ErrUnknownPhoneNumber,
		phonenet.ErrWrongPassword: ErrWrongPassword,
		phonenet.ErrWrongCookies:  ErrWrongCookies,
		phonenet.ErrWrongPasskey:  ErrWrongPasskey,
	} {
		if errors.Is(err, cause) {
			return response
		}
	}
	return err
}

// GetLoginFlows implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) GetLoginFlows() []bridgev2.LoginFlow {
	return []bridgev2.LoginFlow{{
		ID:          LoginFlowIDQR,
		Name:        "QR",
		Description: "Scan a QR code to pair the bridge to your Testnet account",
	}, {
		ID:          LoginFlowIDCode,
		Name:        "Pairing code",
		Description: "Input your phone number to get a pairing code, to pair the bridge to your Testnet account",
	}, {
		ID:          LoginFlowIDPhone,
		Name:        "Phone number",
		Description: "Log in with your phone number, the code that is sent to it, and your password if you have one",
	}, {
		ID:          LoginFlowIDCookies,
		Name:        "Cookies",
		Description: "Log in with the cookies of testnet.example",
	}, {
		ID:          LoginFlowIDEmoji,
		Name:        "Emoji",
		Description: "Input your phone number, and pick the emoji that is shown on that phone",
	}, {
		ID:          LoginFlowIDChoose,
		Name:        "Choose",
		Description: "Choose how to log in",
	}, {
		ID:          LoginFlowIDNovel,
		Name:        "Novel",
		Description: "Log in by a step of a kind that no client knows yet",
	}}
}

// CreateLogin implements bridgev2.NetworkConnector.
func (tc *TestnetConnector) CreateLogin(_ context.Context, user *bridgev2.User, flowID string) (bridgev2.LoginProcess, error) {
	base := login{main: tc, user: user}
	switch flowID {
	case LoginFlowIDQR:
		return &qrLogin{login: base}, nil
	case LoginFlowIDCode:
		return &codeLogin{login: base}, nil
	case LoginFlowIDPhone:
		return &phoneLogin{login: base}, nil
	case LoginFlowIDCookies:
		return &cookieLogin{login: base}, nil
	case LoginFlowIDEmoji:
		return &emojiLogin{codeLogin{login: base}}, nil
	case LoginFlowIDChoose:
		return &chooseLogin{login: base}, nil
	case LoginFlowIDNovel:
		return &novelLogin{}, nil
	default:
		return nil, bridgev2.ErrInvalidLoginFlowID
	}
}

// login is what all flows have in common.
type login struct {
	main *TestnetConnector
	user *bridgev2.User
}

// complete makes the user login of a session, and connects it.
func (l *login) complete(ctx context.Context, accountID, token string) (*bridgev2.LoginStep, error) {
	account, err := l.main.Network.Account(accountID)
	if err != nil {
		return nil, err
	}
	loginID := loginIDOf(account.ID)
	profile := status.RemoteProfile{Phone: account.Phone, Username: account.Username, Name: account.Name}
	if isSession(loginID) {
		profile.Phone, profile.Username = "", ""
	}
	userLogin, err := l.user.NewLogin(ctx, &database.UserLogin{
		ID:            loginID,
		RemoteName:    remoteName(account),
		RemoteProfile: profile,
		Metadata:      &UserLoginMetadata{Token: token},
	}, &bridgev2.NewLoginParams{DeleteOnConflict: true})
	if err != nil {
		return nil, fmt.Errorf("failed to save new login: %w", err)
	}
	go userLogin.Client.Connect(userLogin.Log.WithContext(l.main.Bridge.BackgroundCtx))
	return &bridgev2.LoginStep{
		Type:           bridgev2.LoginStepTypeComplete,
		StepID:         LoginStepIDComplete,
		Instructions:   fmt.Sprintf("Successfully logged in as %s", userLogin.RemoteName),
		CompleteParams: &bridgev2.LoginCompleteParams{UserLoginID: userLogin.ID, UserLogin: userLogin},
	}, nil
}

func remoteName(account phonenet.Account) string {
	if account.Phone != "" {
		return account.Phone
	}
	return "@" + account.Username
}

func phoneNumberStep() *bridgev2.LoginStep {
	return &bridgev2.LoginStep{
		Type:   bridgev2.LoginStepTypeUserInput,
		StepID: LoginStepIDPhoneNumber,
		UserInputParams: &bridgev2.LoginUserInputParams{Fields: []bridgev2.LoginInputDataField{{
			Type:        bridgev2.LoginInputFieldTypePhoneNumber,
			ID:          "phone_number",
			Name:        "Phone number",
			Description: "Your Testnet phone number in international format",
		}}},
	}
}

// inputProcess is a login that begins with the phone number.
type inputProcess interface {
	Start(ctx context.Context) (*bridgev2.LoginStep, error)
	SubmitUserInput(ctx context.Context, input map[string]string) (*bridgev2.LoginStep, error)
}

// startWithPhoneOf starts a re-login, whose number is known already if the account has one.
func startWithPhoneOf(ctx context.Context, process inputProcess, override *bridgev2.UserLogin) (*bridgev2.LoginStep, error) {
	step, err := process.Start(ctx)
	if err == nil && override.RemoteProfile.Phone != "" {
		return process.SubmitUserInput(ctx, map[string]string{"phone_number": override.RemoteProfile.Phone})
	}
	return step, err
}
