// Calls for the actions of a phone's owner: read, write, react.

package control

import (
	"net/http"

	"testbridge/phonenet"
)

func (c *calls) getMessage(r *http.Request) (any, error) {
	return c.network.Message(r.PathValue("id"))
}

func (c *calls) listMessages(r *http.Request) (any, error) {
	ctx, cancel, count, err := waiting(r)
	defer cancel()
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	return c.network.Messages(ctx, r.PathValue("id"), phonenet.Filter{
		Chat: query.Get("chat"), From: query.Get("from"), Count: count,
	})
}

func (c *calls) listEvents(r *http.Request) (any, error) {
	ctx, cancel, count, err := waiting(r)
	defer cancel()
	if err != nil {
		return nil, err
	}
	after, err := numberIn(r, "after", 0)
	if err != nil {
		return nil, err
	}
	return c.network.Events(ctx, r.PathValue("id"), after, count)
}

func (c *calls) send(r *http.Request) (any, error) {
	draft, err := read(r, phonenet.Draft{})
	if err != nil {
		return nil, err
	}
	return c.network.SendFromPhone(r.PathValue("id"), draft)
}

func (c *calls) edit(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Message string `json:"message"`
		phonenet.Words
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Edit(r.PathValue("id"), request.Message, request.Words, "")
}

func (c *calls) delete(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Message string `json:"message"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Delete(r.PathValue("id"), request.Message, "")
}

func (c *calls) react(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Message string `json:"message"`
		Emoji   string `json:"emoji"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.React(r.PathValue("id"), request.Message, request.Emoji, "")
}

func (c *calls) receipt(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Message string               `json:"message"`
		Kind    phonenet.ReceiptKind `json:"kind"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Receipt(r.PathValue("id"), request.Message, request.Kind, "")
}

func (c *calls) typing(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Chat   string `json:"chat"`
		Typing bool   `json:"typing"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Typing(r.PathValue("id"), request.Chat, request.Typing, "")
}

func (c *calls) getTimer(r *http.Request) (any, error) {
	seconds, err := c.network.Timer(r.PathValue("id"), r.URL.Query().Get("chat"))
	return map[string]int{"disappear_s": seconds}, err
}

func (c *calls) setTimer(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Chat      string `json:"chat"`
		Disappear int    `json:"disappear_s"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.SetTimer(r.PathValue("id"), request.Chat, request.Disappear, "")
}

func (c *calls) vote(r *http.Request) (any, error) {
	request, err := read(r, struct {
		Message string   `json:"message"`
		Options []string `json:"options"`
	}{})
	if err != nil {
		return nil, err
	}
	return nil, c.network.Vote(r.PathValue("id"), request.Message, request.Options, "")
}

func (c *calls) startCall(r *http.Request) (any, error) {
	request, err := read(r, phonenet.Call{})
	if err != nil {
		return nil, err
	}
	return c.network.StartCall(r.PathValue("id"), request)
}
