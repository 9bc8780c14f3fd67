// Login flows: a QR code, a pairing code, the number with a code (and a password), and cookies.

package connector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

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
)

// IDs of login steps.
const (
	LoginStepIDQR          = "example.testnet.login.qr"
	LoginStepIDPhoneNumber = "example.testnet.login.phone_number"
	LoginStepIDPairingCode = "example.testnet.login.pairing_code"
	LoginStepIDCode        = "example.testnet.login.code"
	LoginStepIDPassword    = "example.testnet.login.password"
	LoginStepIDCookies     = "example.testnet.login.cookies"
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
	pairing *pairing
}

var _ bridgev2.LoginProcessDisplayAndWait = (*qrLogin)(nil)

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
		return l.complete(ctx, account, token)
	}
}

func (l *qrLogin) Cancel() {
	l.pairing.cancel()
}

// codeLogin is the login by typing a code in on the phone.
type codeLogin struct {
	login
	pairing *pairing
}

var (
	_ bridgev2.LoginProcessUserInput      = (*codeLogin)(nil)
	_ bridgev2.LoginProcessDisplayAndWait = (*codeLogin)(nil)
	_ bridgev2.LoginProcessWithOverride   = (*codeLogin)(nil)
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
	return l.complete(ctx, account, token)
}

func (l *codeLogin) Cancel() {
	l.pairing.cancel()
}

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
