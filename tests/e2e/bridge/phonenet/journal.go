// The journal keeps state over restarts: a JSON record a line; an id's last record wins.

package phonenet

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

type recordKind string

const (
	recordSettings recordKind = "settings"
	recordAccount  recordKind = "account"
	recordGroup    recordKind = "group"
	recordMessage  recordKind = "message"
	recordSession  recordKind = "session"
	recordTimer    recordKind = "timer"
)

// record is a line of the journal; without a value the thing is deleted.
type record struct {
	Kind  recordKind      `json:"kind"`
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value,omitempty"`
}

// journal appends to a file; a nil file records nothing.
type journal struct {
	file *os.File
}

func openJournal(path string, restore func(record) error) (*journal, error) {
	if path == "" {
		return &journal{}, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	reader, intact := bufio.NewReader(file), int64(0)
	for {
		line, err := reader.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // what follows the last newline was being written when the program was killed
		}
		if err != nil {
			return nil, err
		}
		var read record
		if err := json.Unmarshal(line, &read); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := restore(read); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		intact += int64(len(line))
	}
	if err := file.Truncate(intact); err != nil {
		return nil, err
	}
	_, err = file.Seek(intact, io.SeekStart)
	return &journal{file: file}, err
}

func (j *journal) write(kind recordKind, id string, value any) error {
	if j.file == nil {
		return nil
	}
	written := record{Kind: kind, ID: id}
	if value != nil {
		encoded, err := json.Marshal(value)
		if err != nil {
			return err
		}
		written.Value = encoded
	}
	line, err := json.Marshal(written)
	if err != nil {
		return err
	}
	_, err = j.file.Write(append(line, '\n'))
	return err
}

func (j *journal) reset() error {
	if j.file == nil {
		return nil
	}
	if err := j.file.Truncate(0); err != nil {
		return err
	}
	_, err := j.file.Seek(0, io.SeekStart)
	return err
}

// restore applies a record to the network, before anyone else has the network.
func (n *Network) restore(read record) error {
	switch read.Kind {
	case recordSettings:
		return json.Unmarshal(read.Value, &n.settings)
	case recordAccount:
		return restoreIn(n.accounts, read)
	case recordGroup:
		return restoreIn(n.groups, read)
	case recordTimer:
		return restoreIn(n.timers, read)
	case recordSession:
		err := restoreIn(n.sessions, read)
		if session := n.sessions[read.ID]; session != nil {
			session.network = n
			session.connection = Connection{State: Connected}
		}
		return err
	case recordMessage:
		return n.restoreMessage(read)
	default:
		return fmt.Errorf("a record of the unknown kind %q", read.Kind)
	}
}

func restoreIn[T any](things map[string]*T, read record) error {
	if read.Value == nil {
		delete(things, read.ID)
		return nil
	}
	thing := new(T)
	things[read.ID] = thing
	return json.Unmarshal(read.Value, thing)
}

func (n *Network) restoreMessage(read record) error {
	known := n.messages[read.ID]
	if read.Value == nil {
		delete(n.messages, read.ID)
		n.timeline = slices.DeleteFunc(n.timeline, func(message *Message) bool { return message == known })
		return nil
	}
	message := new(Message)
	if err := json.Unmarshal(read.Value, message); err != nil {
		return err
	}
	if known != nil {
		*known = *message // keeps its place in the timeline
		return nil
	}
	n.messages[read.ID] = message
	n.timeline = append(n.timeline, message)
	return nil
}
