package phonenet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// linked makes an account whose device was linked by cookies, and attaches it.
func linked(t *testing.T, n *Network, phone string) (Account, *Session, <-chan Event) {
	t.Helper()
	account := must(n.CreateAccount(NewAccount{Phone: phone}))
	_, token, err := n.LoginWithCookies(t.Context(), account.Cookies)
	ok(t, err)
	events := make(chan Event, 100)
	session := must(n.Attach(token, func(event Event) { events <- event }))
	if first := <-events; first.Connection.State != Connected {
		t.Fatalf("the first event is %+v", first)
	}
	return account, session, events
}

func TestAMessageSentTwiceArrivesOnce(t *testing.T) {
	n := must(Open(""))
	_, session, _ := linked(t, n, "+237600000001")
	other := must(n.CreateAccount(NewAccount{Phone: "+237600000002"}))
	first := must(session.Send(t.Context(), Draft{ID: "B1", To: other.ID, Text: "hello"}))
	second := must(session.Send(t.Context(), Draft{ID: "B1", To: other.ID, Text: "hello"}))
	if first.SentAt != second.SentAt {
		t.Fatalf("two messages: %v and %v", first, second)
	}
	if messages := must(n.Messages(t.Context(), other.ID, Filter{})); len(messages) != 1 {
		t.Fatalf("the phone has %v", messages)
	}
}

func TestOutcomesAreUsedUpInOrder(t *testing.T) {
	n := must(Open(""))
	account, session, events := linked(t, n, "+237600000001")
	other := must(n.CreateAccount(NewAccount{Phone: "+237600000002"}))
	ok(t, n.SetOutcomes(account.ID, []Outcome{
		{Kind: OutcomeRetriable, Times: 2}, {Kind: OutcomePermanent, Message: "blocked"}, {Kind: OutcomeHold},
	}))
	send := func(id string) (Message, error) {
		return session.Send(t.Context(), Draft{ID: id, To: other.ID, Text: id})
	}
	for _, permanent := range []bool{false, false, true} {
		var refusal *Refusal
		if _, err := send("refused"); !errors.As(err, &refusal) || refusal.Permanent != permanent {
			t.Fatalf("got %v, expected a refusal with Permanent=%v", err, permanent)
		}
	}
	if message := must(send("held")); !message.Held {
		t.Fatal("not held")
	}
	must(send("sent"))
	if messages := must(n.Messages(t.Context(), other.ID, Filter{})); len(messages) != 1 || messages[0].ID != "sent" {
		t.Fatalf("the phone has %v", messages)
	}
	ok(t, n.Release("held", Outcome{}))
	if answer := <-events; answer.Kind != EventAnswer || answer.Message.ID != "held" || answer.Refusal != nil {
		t.Fatalf("got %+v", answer)
	}
	if messages := must(n.Messages(t.Context(), other.ID, Filter{})); len(messages) != 2 {
		t.Fatalf("the phone has %v", messages)
	}
}

func TestEventsWaitForTheConnection(t *testing.T) {
	n := must(Open(""))
	account, session, events := linked(t, n, "+237600000001")
	other := must(n.CreateAccount(NewAccount{Phone: "+237600000002"}))
	ok(t, n.SetConnection(account.ID, Connection{State: Disconnected}))
	must(n.SendFromPhone(other.ID, Draft{To: account.ID, Text: "meanwhile"}))
	if _, err := session.Send(t.Context(), Draft{To: other.ID, Text: "no"}); !errors.Is(err, ErrNotConnected) {
		t.Fatal(err)
	}
	ok(t, n.SetConnection(account.ID, Connection{State: Connected}))
	for _, expected := range []EventKind{EventConnection, EventConnection, EventMessage} {
		if event := <-events; event.Kind != expected {
			t.Fatalf("got %+v, expected %s", event, expected)
		}
	}
	ok(t, n.SetConnection(account.ID, Connection{State: LoggedOut}))
	if event := <-events; event.Connection.State != LoggedOut || !errors.Is(session.Ready(), ErrLoggedOut) {
		t.Fatalf("got %+v", event)
	}
}

func TestAPairingIsConfirmedOnceAndExpires(t *testing.T) {
	n := must(Open(""))
	account := must(n.CreateAccount(NewAccount{Phone: "+237600000001"}))
	pairing := must(n.StartQR(t.Context()))
	code, _, _, _ := pairing.Current()
	ok(t, n.Confirm(account.ID, code, false))
	<-pairing.Done()
	if linkedTo, token, err := pairing.Result(); linkedTo != account.ID || token == "" || err != nil {
		t.Fatalf("got %q %q %v", linkedTo, token, err)
	}
	if err := n.Confirm(account.ID, code, false); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	settings := n.Settings()
	settings.QRCount, settings.QRIntervalMS = 1, 1
	ok(t, n.SetSettings(settings))
	expired := must(n.StartQR(t.Context()))
	_, _, remaining, _ := expired.Current()
	<-time.After(remaining)
	if _, _, _, valid := expired.Current(); valid {
		t.Fatal("a code is valid after its time")
	}
}

func TestARestartForgetsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	n := must(Open(path))
	account, session, _ := linked(t, n, "+237600000001")
	other := must(n.CreateAccount(NewAccount{Phone: "+237600000002", Name: "Other"}))
	group := must(n.CreateGroup(NewGroup{Name: "Group", Owner: account.ID}, ""))
	sent := must(session.Send(t.Context(), Draft{To: other.ID, Text: "hello"}))
	ok(t, n.React(other.ID, sent.ID, "👍", ""))
	ok(t, n.SetOutcomes(account.ID, []Outcome{{Kind: OutcomeHold}}))
	must(session.Send(t.Context(), Draft{ID: "held", To: other.ID, Text: "held"}))

	// A kill in the middle of a write leaves half a line.
	file := must(os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0))
	must(file.WriteString(`{"kind":"message","id":"M`))
	ok(t, file.Close())

	for range 2 { // the second time what the first one found has been written on
		n = must(Open(path))
		must(n.SendFromPhone(other.ID, Draft{To: account.ID, Text: "after"}))
	}
	messages := must(n.Messages(t.Context(), account.ID, Filter{Chat: other.ID}))
	if len(messages) != 3 || messages[0].Reactions[other.ID] != "👍" || messages[2].Text != "after" {
		t.Fatalf("got %+v", messages)
	}
	if held := must(n.Held(context.Background(), account.ID, 0)); len(held) != 1 {
		t.Fatalf("got %+v", held)
	}
	if found := must(n.GroupByLink(group.InviteLink)); found.ID != group.ID {
		t.Fatalf("got %+v", found)
	}
	if _, err := n.Attach(session.Token, func(Event) {}); err != nil {
		t.Fatal(err)
	}
}
