// Accounts: addresses on the network, and proofs of identity.

package phonenet

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Account is someone on the network, with a phone in hand.
type Account struct {
	// ID is the digits of the number, or a UUID for an opaque account or one without a number.
	ID    string `json:"id"`
	Phone string `json:"phone,omitempty"` // E.164, with the plus sign
	// LID is a second, hidden id, of digits that aren't the number's; "" for none.
	LID string `json:"lid,omitempty"`
	// ChatsByNumber says that direct chats with the account still go by its number, not its LID.
	ChatsByNumber bool   `json:"chats_by_number,omitempty"`
	Username      string `json:"username,omitempty"`
	Name          string `json:"name"`
	Avatar        []byte `json:"avatar,omitempty"`
	// LoginCode is the code sent to the phone when someone logs in with its number.
	LoginCode string `json:"login_code"`
	// Password is asked for after the code, unless it is empty.
	Password string `json:"password,omitempty"`
	// Cookies prove to the network's web page who someone is.
	Cookies Cookies `json:"cookies"`
	// Contacts are the accounts in the address book.
	Contacts []string `json:"contacts,omitempty"`
	// Blocked are accounts whose direct messages the network keeps from this one.
	Blocked []string `json:"blocked,omitempty"`
	// AutoReceipts are the receipts that the phone sends by itself.
	AutoReceipts ReceiptKind `json:"auto_receipts,omitempty"`
	// Passkey is asked for at the end of a login by QR or pairing code, unless it is nil.
	Passkey *Passkey `json:"passkey,omitempty"`
	// Features are what direct chats with the account can do; nil: what chats usually can.
	Features json.RawMessage `json:"features,omitempty"`
	// TimelockUntil is until when the linked device may write to nobody new.
	TimelockUntil time.Time `json:"timelock_until,omitzero"`

	outcomes []Outcome
	events   []Event
}

// Cookies are what a browser holds after a login at the network's web page.
type Cookies struct {
	Session string `json:"session"`
	CSRF    string `json:"csrf"`
}

// NewAccount describes an account to make. Phone or Username is required; the rest is made up.
type NewAccount struct {
	Phone    string `json:"phone"`
	Username string `json:"username"`
	Name     string `json:"name"`
	Avatar   []byte `json:"avatar"`
	Opaque   bool   `json:"opaque"`
	// LID gives the account a hidden id, by which others chat with it unless ChatsByNumber.
	LID           bool            `json:"lid"`
	ChatsByNumber bool            `json:"chats_by_number"`
	Passkey       bool            `json:"passkey"`
	Features      json.RawMessage `json:"features"`
	LoginCode     string          `json:"login_code"`
	Password      string          `json:"password"`
	Contacts      []string        `json:"contacts"`
	AutoReceipts  ReceiptKind     `json:"auto_receipts"`
}

// CreateAccount makes an account.
func (n *Network) CreateAccount(request NewAccount) (Account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account := &Account{
		Username:     strings.TrimPrefix(request.Username, "@"),
		Name:         request.Name,
		Avatar:       request.Avatar,
		LoginCode:    cmp.Or(request.LoginCode, randomDigits(6)),
		Password:     request.Password,
		Cookies:      Cookies{Session: randomHex(16), CSRF: randomHex(8)},
		AutoReceipts: request.AutoReceipts,

		ChatsByNumber: request.ChatsByNumber,
		Features:      request.Features,
	}
	digits := digitsOf(request.Phone)
	switch {
	case request.Phone != "" && digits == "":
		return Account{}, fmt.Errorf("%w: %q isn't a telephone number", ErrInvalid, request.Phone)
	case request.Phone == "" && account.Username == "":
		return Account{}, fmt.Errorf("%w: an account needs a phone or a username", ErrInvalid)
	case request.Phone != "" && n.find("+"+digits) != nil:
		return Account{}, fmt.Errorf("%w: the number %s", ErrConflict, request.Phone)
	case account.Username != "" && n.find("@"+account.Username) != nil:
		return Account{}, fmt.Errorf("%w: the username %s", ErrConflict, account.Username)
	case !request.AutoReceipts.valid():
		return Account{}, fmt.Errorf("%w: auto_receipts is one of %q, %q", ErrInvalid, ReceiptDelivered, ReceiptRead)
	}
	if request.LID {
		account.LID = "1" + randomDigits(14)
	}
	if request.Passkey {
		account.Passkey = newPasskey()
	}
	if digits != "" {
		account.Phone = "+" + digits
	}
	if account.ID = digits; digits == "" || request.Opaque {
		account.ID = uuid.NewString()
	}
	account.Name = cmp.Or(account.Name, account.Phone, account.Username)
	contacts, err := n.accountIDs(request.Contacts)
	if err != nil {
		return Account{}, err
	}
	account.Contacts = contacts
	n.accounts[account.ID] = account
	return n.saved(account)
}

// AccountChange is a change of an account; nil fields stay.
type AccountChange struct {
	Name         *string      `json:"name"`
	Avatar       []byte       `json:"avatar"`
	LoginCode    *string      `json:"login_code"`
	Password     *string      `json:"password"`
	Contacts     []string     `json:"contacts"`
	AutoReceipts *ReceiptKind `json:"auto_receipts"`

	ChatsByNumber *bool           `json:"chats_by_number"`
	Features      json.RawMessage `json:"features"`
	TimelockUntil *time.Time      `json:"timelock_until"`
}

// ChangeAccount changes an account.
func (n *Network) ChangeAccount(identifier string, change AccountChange) (Account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return Account{}, err
	}
	if change.AutoReceipts != nil && !change.AutoReceipts.valid() {
		return Account{}, fmt.Errorf("%w: auto_receipts is one of %q, %q", ErrInvalid, ReceiptDelivered, ReceiptRead)
	}
	if change.Contacts != nil {
		contacts, err := n.accountIDs(change.Contacts)
		if err != nil {
			return Account{}, err
		}
		account.Contacts = contacts
	}
	setIfGiven(&account.Name, change.Name)
	setIfGiven(&account.LoginCode, change.LoginCode)
	setIfGiven(&account.Password, change.Password)
	setIfGiven(&account.AutoReceipts, change.AutoReceipts)
	setIfGiven(&account.ChatsByNumber, change.ChatsByNumber)
	setIfGiven(&account.TimelockUntil, change.TimelockUntil)
	if change.Features != nil {
		account.Features = change.Features
	}
	if change.Avatar != nil {
		account.Avatar = change.Avatar
	}
	n.publish(Event{Kind: EventAccount, By: account.ID}, slices.Collect(maps.Keys(n.accounts)), "")
	return n.saved(account)
}

// Block lets the network keep direct messages of another from the account, or no longer.
func (n *Network) Block(by, identifier string, block bool) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(by)
	if err != nil {
		return err
	}
	other, err := n.account(identifier)
	if err != nil {
		return err
	}
	account.Blocked = slices.DeleteFunc(slices.Clone(account.Blocked), func(id string) bool { return id == other.ID })
	if block {
		account.Blocked = append(account.Blocked, other.ID)
	}
	_, err = n.saved(account)
	return err
}

func setIfGiven[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

func (n *Network) saved(account *Account) (Account, error) {
	n.notify()
	return *account, n.journal.write(recordAccount, account.ID, account)
}

// Accounts returns all accounts, ordered by id.
func (n *Network) Accounts() []Account {
	n.mu.Lock()
	defer n.mu.Unlock()
	accounts := make([]Account, 0, len(n.accounts))
	for _, id := range slices.Sorted(maps.Keys(n.accounts)) {
		accounts = append(accounts, *n.accounts[id])
	}
	return accounts
}

// Account finds an account by its id, its number in any notation, its LID (lid-… or …@lid), or its
// username, with @ or not.
func (n *Network) Account(identifier string) (Account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(identifier)
	if err != nil {
		return Account{}, err
	}
	return *account, nil
}

func (n *Network) account(identifier string) (*Account, error) {
	if account := n.find(identifier); account != nil {
		return account, nil
	}
	return nil, fmt.Errorf("%w: account %q", ErrNotFound, identifier)
}

func (n *Network) find(identifier string) *Account {
	if account, ok := n.accounts[identifier]; ok {
		return account
	}
	digits, username, lid := digitsOf(identifier), strings.TrimPrefix(identifier, "@"), lidOf(identifier)
	for _, account := range n.accounts {
		if digits != "" && account.Phone == "+"+digits || username != "" && account.Username == username ||
			lid != "" && account.LID == lid {
			return account
		}
	}
	return nil
}

func (n *Network) accountIDs(identifiers []string) ([]string, error) {
	ids := make([]string, 0, len(identifiers))
	for _, identifier := range identifiers {
		account, err := n.account(identifier)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ids, account.ID) {
			ids = append(ids, account.ID)
		}
	}
	return ids, nil
}

// Contacts returns the address book of an account.
func (n *Network) Contacts(id string) ([]Account, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	account, err := n.account(id)
	if err != nil {
		return nil, err
	}
	contacts := make([]Account, 0, len(account.Contacts))
	for _, contact := range account.Contacts {
		contacts = append(contacts, *n.accounts[contact])
	}
	return contacts, nil
}

// Search returns the accounts whose name, username or number contains the text, ordered by id.
func (n *Network) Search(text string) []Account {
	text = strings.ToLower(strings.TrimPrefix(text, "@"))
	return slices.DeleteFunc(n.Accounts(), func(account Account) bool {
		return !strings.Contains(strings.ToLower(account.Name+"\n"+account.Username+"\n"+account.Phone), text)
	})
}
