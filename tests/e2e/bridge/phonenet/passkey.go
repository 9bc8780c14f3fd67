// Passkeys: what some accounts' owners have to show at the end of a login, besides their phone.

package phonenet

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// PasskeyOrigin is the web page that the network's passkeys belong to.
const PasskeyOrigin = "https://web.testnet.example"

const passkeyDomain = "web.testnet.example"

// ErrWrongPasskey says that a credential isn't an answer to the challenge by the account's passkey.
var ErrWrongPasskey = errors.New("that passkey is not right")

// Passkey is an account's passkey. Signatures aren't played: knowing its id proves it.
type Passkey struct {
	ID string `json:"id"` // base64url
}

func newPasskey() *Passkey {
	return &Passkey{ID: randomBase64(16)}
}

// PasskeyRequest is the publicKey of navigator.credentials.get().
type PasskeyRequest struct {
	Challenge        string              `json:"challenge"` // base64url
	RPID             string              `json:"rpId"`
	TimeoutMS        int                 `json:"timeout"`
	UserVerification string              `json:"userVerification"`
	Allow            []AllowedCredential `json:"allowCredentials"`
}

// AllowedCredential is a passkey that may answer.
type AllowedCredential struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

// Credential is what a browser's PublicKeyCredential.toJSON() gives.
type Credential struct {
	ID       string             `json:"id"`
	RawID    string             `json:"rawId"`
	Type     string             `json:"type"`
	Response CredentialResponse `json:"response"`
}

// CredentialResponse is the answer of the authenticator, each field in base64url.
type CredentialResponse struct {
	ClientDataJSON    string `json:"clientDataJSON"`
	AuthenticatorData string `json:"authenticatorData"`
	Signature         string `json:"signature"`
}

type clientData struct {
	Type      string `json:"type"`
	Challenge string `json:"challenge"`
	Origin    string `json:"origin"`
}

// PasskeyRequestFor returns a fresh challenge, or nil if the account has no passkey.
func (n *Network) PasskeyRequestFor(account string) (*PasskeyRequest, error) {
	found, err := n.Account(account)
	if err != nil || found.Passkey == nil {
		return nil, err
	}
	return &PasskeyRequest{
		Challenge:        randomBase64(32),
		RPID:             passkeyDomain,
		TimeoutMS:        60_000,
		UserVerification: "preferred",
		Allow:            []AllowedCredential{{ID: found.Passkey.ID, Type: "public-key"}},
	}, nil
}

// UsePasskey answers a challenge as a browser of the account's owner does.
func (n *Network) UsePasskey(identifier string, request PasskeyRequest) (Credential, error) {
	account, err := n.Account(identifier)
	if err != nil {
		return Credential{}, err
	}
	if account.Passkey == nil {
		return Credential{}, fmt.Errorf("%w: %s has no passkey", ErrInvalid, account.ID)
	}
	data, err := json.Marshal(clientData{Type: "webauthn.get", Challenge: request.Challenge, Origin: PasskeyOrigin})
	if err != nil {
		return Credential{}, err
	}
	return Credential{
		ID:    account.Passkey.ID,
		RawID: account.Passkey.ID,
		Type:  "public-key",
		Response: CredentialResponse{
			ClientDataJSON:    base64.RawURLEncoding.EncodeToString(data),
			AuthenticatorData: randomBase64(37),
			Signature:         randomBase64(70),
		},
	}, nil
}

// CheckPasskey checks a credential against the challenge that it answers.
func (n *Network) CheckPasskey(account string, request *PasskeyRequest, credential Credential) error {
	owner, err := n.Account(account)
	if err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.DecodeString(credential.Response.ClientDataJSON)
	var data clientData
	if err == nil {
		err = json.Unmarshal(raw, &data)
	}
	if err != nil || owner.Passkey == nil || credential.ID != owner.Passkey.ID || data.Type != "webauthn.get" ||
		data.Origin != PasskeyOrigin || !same(data.Challenge, request.Challenge) {
		return ErrWrongPasskey
	}
	return nil
}

func randomBase64(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer) // never fails: see crypto/rand
	return base64.RawURLEncoding.EncodeToString(buffer)
}
