// Calls, which the linked devices only hear of.

package phonenet

import "fmt"

// Call is an incoming call.
type Call struct {
	ID    string `json:"id"`
	Video bool   `json:"video,omitempty"`
	// To is who is called, or Group all of whose members are.
	To    string `json:"to,omitempty"`
	Group string `json:"group,omitempty"`
}

// StartCall lets an account call another one, or a group. Nobody answers.
func (n *Network) StartCall(from string, call Call) (Call, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	caller, err := n.account(from)
	if err != nil {
		return Call{}, err
	}
	if (call.To == "") == (call.Group == "") {
		return Call{}, fmt.Errorf("%w: a call goes either to an account or to a group", ErrInvalid)
	}
	call.ID = "C" + randomHex(12)
	told := []string{caller.ID}
	if call.Group != "" {
		group, err := n.group(call.Group)
		if err != nil {
			return Call{}, err
		}
		told = group.Members
	} else {
		callee, err := n.account(call.To)
		if err != nil {
			return Call{}, err
		}
		call.To = callee.ID
		told = append(told, callee.ID)
	}
	n.publish(Event{Kind: EventCall, By: caller.ID, Call: &call}, told, "")
	return call, nil
}
