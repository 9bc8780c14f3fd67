// Calls about the network, accounts, groups and pairings.

package control

import (
	"cmp"
	"net/http"

	"testbridge/phonenet"
)

func (c *calls) getNetwork(*http.Request) (any, error) {
	return c.network.Settings(), nil
}

func (c *calls) changeNetwork(r *http.Request) (any, error) {
	settings, err := read(r, c.network.Settings())
	if err != nil {
		return nil, err
	}
	return settings, c.network.SetSettings(settings)
}

func (c *calls) resetNetwork(*http.Request) (any, error) {
	return nil, c.network.Reset()
}

func (c *calls) listAccounts(*http.Request) (any, error) {
	return c.network.Accounts(), nil
}

func (c *calls) createAccount(r *http.Request) (any, error) {
	request, err := read(r, phonenet.NewAccount{})
	if err != nil {
		return nil, err
	}
	return c.network.CreateAccount(request)
}

// accountWithDevice is an account and its linked device.
type accountWithDevice struct {
	phonenet.Account
	Device *phonenet.Device `json:"device"`
}

func (c *calls) getAccount(r *http.Request) (any, error) {
	account, err := c.network.Account(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	device, err := c.network.Device(account.ID)
	return accountWithDevice{account, device}, err
}

func (c *calls) changeAccount(r *http.Request) (any, error) {
	change, err := read(r, phonenet.AccountChange{})
	if err != nil {
		return nil, err
	}
	return c.network.ChangeAccount(r.PathValue("id"), change)
}

func (c *calls) listGroups(*http.Request) (any, error) {
	return c.network.Groups(""), nil
}

func (c *calls) createGroup(r *http.Request) (any, error) {
	request, err := read(r, phonenet.NewGroup{})
	if err != nil {
		return nil, err
	}
	return c.network.CreateGroup(request, "")
}

func (c *calls) getGroup(r *http.Request) (any, error) {
	return c.network.Group(r.PathValue("group"))
}

func (c *calls) changeGroup(r *http.Request) (any, error) {
	change, err := read(r, phonenet.GroupChange{})
	if err != nil {
		return nil, err
	}
	return c.network.ChangeGroup(r.PathValue("group"), change)
}

func (c *calls) listPairings(r *http.Request) (any, error) {
	ctx, cancel, count, err := waiting(r)
	defer cancel()
	if err != nil {
		return nil, err
	}
	return c.network.Pairings(ctx, count), nil
}

func (c *calls) confirmPairing(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Code string `json:"code"`
		Deny bool   `json:"deny"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Confirm(r.PathValue("id"), request.Code, request.Deny)
}

func (c *calls) usePasskey(r *http.Request) (any, error) {
	request, err := read(r, phonenet.PasskeyRequest{})
	if err != nil {
		return nil, err
	}
	return c.network.UsePasskey(r.PathValue("id"), request)
}

func (c *calls) moveChats(r *http.Request) (any, error) {
	return c.network.MoveChats(r.PathValue("id"))
}

func (c *calls) setConnection(r *http.Request) (any, error) {
	connection, err := read(r, phonenet.Connection{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.SetConnection(r.PathValue("id"), connection)
}

func (c *calls) setOutcomes(r *http.Request) (any, error) {
	outcomes, err := read(r, []phonenet.Outcome{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.SetOutcomes(r.PathValue("id"), outcomes)
}

func (c *calls) listHeld(r *http.Request) (any, error) {
	ctx, cancel, count, err := waiting(r)
	defer cancel()
	if err != nil {
		return nil, err
	}
	return c.network.Held(ctx, r.PathValue("id"), count)
}

func (c *calls) release(r *http.Request) (any, error) {
	outcome, err := read(r, phonenet.Outcome{})
	if err != nil {
		return nil, err
	}
	outcome.Kind = cmp.Or(outcome.Kind, phonenet.OutcomeSuccess)
	return nil, c.network.Release(r.PathValue("id"), outcome)
}
