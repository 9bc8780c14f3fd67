package phonenet

import (
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestALIDIsFoundInEachSpellingAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	n := must(Open(path))
	ada := must(n.CreateAccount(NewAccount{Phone: "+237612345678", LID: true, ChatsByNumber: true}))
	if ada.LID == "" || ada.Hidden() {
		t.Fatalf("its chats don't go by number: %+v", ada)
	}
	must(n.MoveChats(ada.Phone))
	for _, spelling := range []string{LIDPrefix + ada.LID, ada.LID + LIDSuffix, ada.Phone, ada.ID} {
		if found := must(must(Open(path)).Account(spelling)); found.ID != ada.ID || !found.Hidden() {
			t.Errorf("%s is %+v", spelling, found)
		}
	}
	plain := must(n.CreateAccount(NewAccount{Phone: "+237699999999"}))
	if _, err := n.MoveChats(plain.ID); !errors.Is(err, ErrInvalid) {
		t.Errorf("moved without a LID: %v", err)
	}
}

func TestAPasskeyAnswersOneChallenge(t *testing.T) {
	n := must(Open(""))
	ada := must(n.CreateAccount(NewAccount{Phone: "+237612345678", Passkey: true}))
	request, other := must(n.PasskeyRequestFor(ada.ID)), must(n.PasskeyRequestFor(ada.ID))
	credential := must(n.UsePasskey(ada.ID, *request))
	ok(t, n.CheckPasskey(ada.ID, request, credential))
	if err := n.CheckPasskey(ada.ID, other, credential); !errors.Is(err, ErrWrongPasskey) {
		t.Errorf("another challenge: %v", err)
	}
}

func TestAPollAmongStatusPosts(t *testing.T) {
	n := must(Open(""))
	ada := must(n.CreateAccount(NewAccount{Phone: "+237612345678"}))
	bob := must(n.CreateAccount(NewAccount{Username: "bob", Contacts: []string{ada.ID}}))
	carol := must(n.CreateAccount(NewAccount{Username: "carol"}))
	poll := &Poll{Question: "Where?", Options: []string{"Here", "There"}, MaxSelections: 1}
	sent := must(n.SendFromPhone(ada.ID, Draft{Group: StatusBroadcast, Type: TypePoll, Poll: poll}))
	for _, options := range [][]string{{"Nowhere"}, {"Here", "There"}} {
		if err := n.Vote(bob.ID, sent.ID, options, ""); !errors.Is(err, ErrInvalid) {
			t.Errorf("a vote for %v: %v", options, err)
		}
	}
	ok(t, n.Vote(bob.ID, sent.ID, []string{"There"}, ""))
	if voted := must(n.Message(sent.ID)); !slices.Equal(voted.Votes[bob.ID], []string{"There"}) {
		t.Errorf("the votes: %v", voted.Votes)
	}
	if seen := must(n.Messages(t.Context(), carol.ID, Filter{})); len(seen) > 0 {
		t.Errorf("who doesn't know the author sees %v", seen)
	}
}

func TestATimelockLetsAnswersGo(t *testing.T) {
	n := must(Open(""))
	ada, session, _ := linked(t, n, "+237612345678")
	bob := must(n.CreateAccount(NewAccount{Username: "bob"}))
	until := now().Add(time.Hour)
	must(n.ChangeAccount(ada.ID, AccountChange{TimelockUntil: &until}))
	var refusal *Refusal
	if _, err := session.Send(t.Context(), Draft{To: bob.ID, Text: "new"}); !errors.As(err, &refusal) {
		t.Errorf("the first message: %v", err)
	}
	must(n.SendFromPhone(bob.ID, Draft{To: ada.ID, Text: "hello"}))
	must(session.Send(t.Context(), Draft{To: bob.ID, Text: "an answer"}))
}
