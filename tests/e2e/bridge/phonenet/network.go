// Package phonenet is a telephone network in memory: accounts with phones, chats, groups and linked
// devices. It knows nothing of Matrix. A linked device (a bridge login) uses a [Session]; tests act
// for the phones' owners by the methods of [Network].
package phonenet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"time"
)

var (
	// ErrNotFound says that there is no such account, group, message or pairing.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that what was to be made exists already.
	ErrConflict = errors.New("exists already")
	// ErrInvalid says that a request makes no sense.
	ErrInvalid = errors.New("invalid request")
	// ErrNotMember says that the sender isn't a member of the group.
	ErrNotMember = fmt.Errorf("%w: not a member of this group", ErrInvalid)
	// ErrNotAdmin says that the sender may not do that in the group.
	ErrNotAdmin = fmt.Errorf("%w: not an admin of this group", ErrNotMember)
	// ErrUnreachable says that the network can't be reached at the moment.
	ErrUnreachable = errors.New("the network can't be reached")
	// ErrLoggedOut says that the network doesn't accept the session any more.
	ErrLoggedOut = errors.New("this device is logged out")
	// ErrNotConnected says that the session has no connection at the moment.
	ErrNotConnected = errors.New("not connected to the network")
)

// Settings are the properties of the network as a whole.
type Settings struct {
	// Down says that nobody can reach the network.
	Down bool `json:"down"`
	// DownAfterMS is how long a login waits until it notices, in milliseconds.
	DownAfterMS int `json:"down_after_ms"`
	// QRCount is how many QR codes a pairing shows, one after the other, before it times out.
	QRCount int `json:"qr_count"`
	// ConnectDelayMS is how long a device takes to connect after it was attached, in milliseconds.
	ConnectDelayMS int `json:"connect_delay_ms"`
	// SlowHistory says that older messages take long to fetch, so that only people ask for them.
	SlowHistory bool `json:"slow_history"`
	// QRIntervalMS is a QR code's lifetime; a pairing code lives as long as all QR codes together.
	QRIntervalMS int `json:"qr_interval_ms"`
}

// DefaultSettings are like those of a well-known network.
var DefaultSettings = Settings{QRCount: 6, QRIntervalMS: 20_000}

// Network is the whole network. Its zero value isn't usable: see [Open].
type Network struct {
	mu       sync.Mutex
	settings Settings
	accounts map[string]*Account
	groups   map[string]*Group
	messages map[string]*Message
	timeline []*Message // in the order of acceptance
	sessions map[string]*Session
	pairings map[string]*Pairing
	timers   map[string]*int // seconds, by timerKey
	// changed is closed, and replaced, whenever anything happens.
	changed chan struct{}
	journal *journal
}

// Open returns the network recorded in the file, or an empty one. An empty path records nothing.
func Open(journalPath string) (*Network, error) {
	n := &Network{changed: make(chan struct{})}
	n.clear()
	j, err := openJournal(journalPath, n.restore)
	if err != nil {
		return nil, err
	}
	n.journal = j
	return n, nil
}

func (n *Network) clear() {
	n.settings = DefaultSettings
	n.accounts = make(map[string]*Account)
	n.groups = make(map[string]*Group)
	n.messages = make(map[string]*Message)
	n.timeline = nil
	n.sessions = make(map[string]*Session)
	n.pairings = make(map[string]*Pairing)
	n.timers = make(map[string]*int)
}

// Reset forgets everything. Every linked device is logged out.
func (n *Network) Reset() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, session := range n.sessions {
		session.revoke("the network was reset")
	}
	for _, pairing := range n.pairings {
		pairing.finish("", "", ErrPairingDenied)
	}
	n.clear()
	n.notify()
	return n.journal.reset()
}

// Settings returns the settings in force.
func (n *Network) Settings() Settings {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.settings
}

// SetSettings replaces the settings. Devices lose their connection while the network is down.
func (n *Network) SetSettings(settings Settings) error {
	if settings.QRCount < 1 || settings.QRIntervalMS < 1 || min(settings.DownAfterMS, settings.ConnectDelayMS) < 0 {
		return fmt.Errorf("%w: qr_count and qr_interval_ms must be positive, delays not negative", ErrInvalid)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	wasDown := n.settings.Down
	n.settings = settings
	for _, session := range n.sessions {
		switch {
		case settings.Down && !wasDown:
			session.setConnection(unreachable)
		case !settings.Down && wasDown:
			session.setConnection(Connection{State: Connected})
		}
	}
	n.notify()
	return n.journal.write(recordSettings, "", settings)
}

// reach tries to reach the network.
func (n *Network) reach(ctx context.Context) error {
	settings := n.Settings()
	if !settings.Down {
		return nil
	}
	if err := pause(ctx, time.Duration(settings.DownAfterMS)*time.Millisecond); err != nil {
		return err
	}
	return ErrUnreachable
}

// pause waits, unless the context ends.
func pause(ctx context.Context, duration time.Duration) error {
	if duration <= 0 {
		return nil
	}
	select {
	case <-time.After(duration):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// notify wakes everyone who waits for a change. The caller holds the lock.
func (n *Network) notify() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// wait returns once the condition holds or the context ends, and whether it holds. The condition is
// tested under the network's lock, now and after every change, and must not call back.
func (n *Network) wait(ctx context.Context, condition func() bool) bool {
	for {
		n.mu.Lock()
		holds, changed := condition(), n.changed
		n.mu.Unlock()
		if holds {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

var notInNumbers = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "")

// digitsOf returns the digits of a telephone number in any usual notation, or "" if it is none.
func digitsOf(number string) string {
	digits := strings.TrimPrefix(notInNumbers.Replace(number), "+")
	if !phoneDigits.MatchString(digits) {
		return ""
	}
	return digits
}

var phoneDigits = regexp.MustCompile(`^[1-9][0-9]{4,14}$`)

func randomHex(bytes int) string {
	buffer := make([]byte, bytes)
	_, _ = rand.Read(buffer) // never fails: see crypto/rand
	return hex.EncodeToString(buffer)
}

func randomDigits(count int) string {
	var digits strings.Builder
	for range count {
		digit, _ := rand.Int(rand.Reader, big.NewInt(10))
		digits.WriteString(digit.String())
	}
	return digits.String()
}

func now() time.Time {
	return time.Now().UTC().Truncate(time.Millisecond)
}
