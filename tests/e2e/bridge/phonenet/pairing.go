// Linking a device: by a QR or pairing code confirmed on the phone, a code sent to it, or cookies.

package phonenet

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

var (
	// ErrPairingExpired says that nobody confirmed a pairing in time.
	ErrPairingExpired = errors.New("the pairing timed out")
	// ErrPairingDenied says that the owner of the phone refused the pairing.
	ErrPairingDenied = errors.New("the pairing was refused on the phone")
	// ErrWrongCode says that the code isn't what was sent to the phone.
	ErrWrongCode = errors.New("that code is not right")
	// ErrWrongPassword says that the password isn't the account's.
	ErrWrongPassword = errors.New("that password is not right")
	// ErrWrongCookies says that the cookies belong to nobody.
	ErrWrongCookies = errors.New("those cookies are not valid")
)

// Pairing is a device that waits to be linked from a phone.
type Pairing struct {
	ID       string
	Phone    string // E.164: only this phone can confirm it; "" for a QR code
	codes    []string
	interval time.Duration
	started  time.Time

	done    chan struct{}
	account string
	token   string
	err     error
}

// StartQR begins a pairing by QR codes.
func (n *Network) StartQR(ctx context.Context) (*Pairing, error) {
	if err := n.reach(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	codes := make([]string, n.settings.QRCount)
	for i := range codes {
		codes[i] = "testnet-link:" + randomHex(20)
	}
	return n.startPairing("", codes, time.Duration(n.settings.QRIntervalMS)*time.Millisecond), nil
}

// StartPairingCode begins a pairing by a code that is typed on the phone with the number.
func (n *Network) StartPairingCode(ctx context.Context, number string) (*Pairing, error) {
	return n.startPairingOn(ctx, number, func() string { return strings.ToUpper(randomHex(2) + "-" + randomHex(2)) })
}

// emojis are what a pairing by emoji shows one of; the phone lets its owner pick it.
var emojis = []string{"🐟", "🍒", "🚲", "🎈"}

// StartEmoji begins a pairing by an emoji that is picked on the phone with the number.
func (n *Network) StartEmoji(ctx context.Context, number string) (*Pairing, error) {
	return n.startPairingOn(ctx, number, func() string { return emojis[rand.IntN(len(emojis))] })
}

func (n *Network) startPairingOn(ctx context.Context, number string, code func() string) (*Pairing, error) {
	if err := n.reach(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.accountWithNumber(number)
	if err != nil {
		return nil, err
	}
	valid := time.Duration(n.settings.QRCount*n.settings.QRIntervalMS) * time.Millisecond
	return n.startPairing(account.Phone, []string{code()}, valid), nil
}

func (n *Network) accountWithNumber(number string) (*Account, error) {
	account := n.find("+" + digitsOf(number))
	if account == nil {
		return nil, fmt.Errorf("%w: nobody has the number %s", ErrNotFound, number)
	}
	return account, nil
}

func (n *Network) startPairing(phone string, codes []string, interval time.Duration) *Pairing {
	pairing := &Pairing{
		ID: randomHex(8), Phone: phone, codes: codes, interval: interval, started: time.Now(), done: make(chan struct{}),
	}
	n.pairings[pairing.ID] = pairing
	n.notify()
	return pairing
}

// Current returns the valid code, its number from 0 and its remaining time; !ok after the last one.
func (p *Pairing) Current() (code string, index int, remaining time.Duration, ok bool) {
	elapsed := time.Since(p.started)
	index = int(elapsed / p.interval)
	if index >= len(p.codes) {
		return "", index, 0, false
	}
	return p.codes[index], index, time.Duration(index+1)*p.interval - elapsed, true
}

// Done is closed when the pairing was confirmed, or refused.
func (p *Pairing) Done() <-chan struct{} {
	return p.done
}

// Result returns the account and its new session after [Pairing.Done].
func (p *Pairing) Result() (account, token string, err error) {
	return p.account, p.token, p.err
}

func (p *Pairing) finish(account, token string, err error) {
	p.account, p.token, p.err = account, token, err
	close(p.done)
}

// Cancel ends a pairing from the device's side.
func (n *Network) Cancel(p *Pairing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pairings, p.ID)
	n.notify()
}

// PendingPairing is a pairing as tests see it.
type PendingPairing struct {
	ID    string `json:"id"`
	Phone string `json:"phone,omitempty"`
	Code  string `json:"code"`
	Index int    `json:"index"`
}

// Pairings returns pairings to confirm. It waits for enough, or until the context ends.
func (n *Network) Pairings(ctx context.Context, count int) []PendingPairing {
	pending := []PendingPairing{}
	n.wait(ctx, func() bool {
		pending = pending[:0]
		for _, id := range slices.Sorted(maps.Keys(n.pairings)) {
			pairing := n.pairings[id]
			if code, index, _, ok := pairing.Current(); ok {
				pending = append(pending, PendingPairing{ID: id, Phone: pairing.Phone, Code: code, Index: index})
			}
		}
		return len(pending) >= count
	})
	return pending
}

// Unlink ends a session whose login was given up before a device had it.
func (n *Network) Unlink(token string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.sessions, token)
	n.notify()
	return n.journal.write(recordSession, token, nil)
}

// Confirm links the device that shows the code to the account; with deny it refuses.
func (n *Network) Confirm(identifier, code string, deny bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return err
	}
	for _, pairing := range n.pairings {
		current, _, _, ok := pairing.Current()
		if !ok || current != code || pairing.Phone != "" && pairing.Phone != account.Phone {
			continue
		}
		delete(n.pairings, pairing.ID)
		if deny {
			pairing.finish("", "", ErrPairingDenied)
			n.notify()
			return nil
		}
		session, err := n.link(account)
		if err != nil {
			return err
		}
		pairing.finish(account.ID, session.Token, nil)
		return nil
	}
	return fmt.Errorf("%w: no pairing shows the code %q to this phone (any more)", ErrNotFound, code)
}

// Challenge is a login with a number: the network sends a code to the phone.
type Challenge struct {
	network   *Network
	accountID string
	passed    bool
}

// StartChallenge sends the code to the phone with the number.
func (n *Network) StartChallenge(ctx context.Context, number string) (*Challenge, error) {
	if err := n.reach(ctx); err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.accountWithNumber(number)
	if err != nil {
		return nil, err
	}
	return &Challenge{network: n, accountID: account.ID}, nil
}

// EnterCode checks the code. Without a password the login is complete, and there is a session.
func (c *Challenge) EnterCode(ctx context.Context, code string) (account, token string, needsPassword bool, err error) {
	if err := c.network.reach(ctx); err != nil {
		return "", "", false, err
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	owner := c.network.accounts[c.accountID]
	if owner == nil || !same(code, owner.LoginCode) {
		return "", "", false, ErrWrongCode
	}
	c.passed = true
	if owner.Password != "" {
		return "", "", true, nil
	}
	account, token, err = c.complete(owner)
	return account, token, false, err
}

// EnterPassword checks the password after the code, and completes the login.
func (c *Challenge) EnterPassword(ctx context.Context, password string) (account, token string, err error) {
	if err := c.network.reach(ctx); err != nil {
		return "", "", err
	}
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	owner := c.network.accounts[c.accountID]
	if owner == nil || !c.passed || !same(password, owner.Password) {
		return "", "", ErrWrongPassword
	}
	return c.complete(owner)
}

func (c *Challenge) complete(owner *Account) (account, token string, err error) {
	session, err := c.network.link(owner)
	if err != nil {
		return "", "", err
	}
	return owner.ID, session.Token, nil
}

// LoginWithCookies links a device by the cookies of the web page.
func (n *Network) LoginWithCookies(ctx context.Context, cookies Cookies) (account, token string, err error) {
	if err := n.reach(ctx); err != nil {
		return "", "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, owner := range n.accounts {
		if same(cookies.Session, owner.Cookies.Session) && same(cookies.CSRF, owner.Cookies.CSRF) {
			session, err := n.link(owner)
			if err != nil {
				return "", "", err
			}
			return owner.ID, session.Token, nil
		}
	}
	return "", "", ErrWrongCookies
}

func same(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
