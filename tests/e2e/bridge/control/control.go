// Package control lets tests play the phones' owners: JSON over HTTP, documented in README.md.
package control

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"testbridge/phonenet"
)

// Serve answers at the address until the program ends, and returns the address with its port.
func Serve(address string, network *phonenet.Network) (net.Addr, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: Handler(network), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr(), nil
}

// Handler answers the calls.
func Handler(network *phonenet.Network) http.Handler {
	c := &calls{network: network}
	mux := http.NewServeMux()
	for pattern, call := range map[string]call{
		"GET /network":        c.getNetwork,
		"PATCH /network":      c.changeNetwork,
		"POST /network/reset": c.resetNetwork,

		"GET /accounts":            c.listAccounts,
		"POST /accounts":           c.createAccount,
		"GET /accounts/{id}":       c.getAccount,
		"PATCH /accounts/{id}":     c.changeAccount,
		"GET /groups":              c.listGroups,
		"POST /groups":             c.createGroup,
		"GET /groups/{group}":      c.getGroup,
		"PATCH /groups/{group}":    c.changeGroup,
		"GET /pairings":            c.listPairings,
		"POST /accounts/{id}/pair": c.confirmPairing,

		"POST /accounts/{id}/passkey":    c.usePasskey,
		"POST /accounts/{id}/move-chats": c.moveChats,

		"PUT /accounts/{id}/connection": c.setConnection,
		"PUT /accounts/{id}/outcomes":   c.setOutcomes,
		"GET /accounts/{id}/held":       c.listHeld,
		"POST /messages/{id}/release":   c.release,

		"GET /messages/{id}":           c.getMessage,
		"GET /accounts/{id}/messages":  c.listMessages,
		"GET /accounts/{id}/events":    c.listEvents,
		"POST /accounts/{id}/messages": c.send,
		"POST /accounts/{id}/edit":     c.edit,
		"POST /accounts/{id}/delete":   c.delete,
		"POST /accounts/{id}/react":    c.react,
		"POST /accounts/{id}/receipt":  c.receipt,
		"POST /accounts/{id}/typing":   c.typing,
		"POST /accounts/{id}/vote":     c.vote,
		"GET /accounts/{id}/timer":     c.getTimer,
		"PUT /accounts/{id}/timer":     c.setTimer,
		"POST /accounts/{id}/call":     c.startCall,
	} {
		mux.Handle(pattern, call)
	}
	return mux
}

type calls struct {
	network *phonenet.Network
}

// call answers with JSON, or an error whose kind decides the status.
type call func(*http.Request) (any, error)

// maxBody is more than any test sends: a file of 100 MiB as base64.
const maxBody = 150 << 20

func (handle call) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	answer, err := handle(r)
	status := http.StatusOK
	if err != nil {
		status = statusOf(err)
		answer = map[string]string{"error": err.Error()}
	} else if answer == nil {
		answer = struct{}{}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

func statusOf(err error) int {
	switch {
	case errors.Is(err, phonenet.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, phonenet.ErrConflict):
		return http.StatusConflict
	case errors.Is(err, phonenet.ErrInvalid), errors.Is(err, phonenet.ErrInviteLinkInvalid):
		return http.StatusBadRequest
	default:
		return http.StatusInternalServerError
	}
}

// read decodes the body over the given value. Unknown fields are mistakes.
func read[T any](r *http.Request, into T) (T, error) {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&into); err != nil {
		return into, fmt.Errorf("%w: %w", phonenet.ErrInvalid, err)
	}
	return into, nil
}

// waiting reads the parameters of calls that wait: at most ?wait_ms=, for ?count= items.
func waiting(r *http.Request) (ctx context.Context, cancel context.CancelFunc, count int, err error) {
	waitMS, err := numberIn(r, "wait_ms", 0)
	if err == nil {
		count, err = numberIn(r, "count", 1)
	}
	ctx, cancel = context.WithTimeout(r.Context(), time.Duration(waitMS)*time.Millisecond)
	return ctx, cancel, count, err
}

func numberIn(r *http.Request, name string, fallback int) (int, error) {
	number, err := strconv.Atoi(cmp.Or(r.URL.Query().Get(name), strconv.Itoa(fallback)))
	if err != nil || number < 0 {
		return 0, fmt.Errorf("%w: %s must be a number", phonenet.ErrInvalid, name)
	}
	return number, nil
}
