//go:build tools

// Package tools names the program that go.mod pins: a main package of another module can be built from here, but not imported.
package tools

import _ "go.mau.fi/mautrix-whatsapp/cmd/mautrix-whatsapp"
