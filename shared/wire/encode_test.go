package wire_test

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/batuta-tasks/batuta/shared/wire"
)

// filler sets the fields of a value at random: with zeros, with what must be escaped, and
// with what stands in most tasks.
type filler struct{ r *rand.Rand }

var words = []string{"", "", "default", "medium", "task-104", "a b", `"<&>"`, "ü\u2028", "\x00\n", "\xff", "image.resize", `back\slash`}

var values = []string{`null`, `1.50`, `"x"`, `{"a":[1,2]}`, `{ "a" : "<b>" }`, `"ü"`}

func (f filler) fill(v reflect.Value) {
	switch v.Interface().(type) {
	case wire.Time:
		v.SetInt([]int64{0, 1, 1_798_761_600_123, 253_402_300_799_999}[f.r.IntN(4)])
		return
	case json.RawMessage:
		if f.r.IntN(2) == 0 {
			v.SetBytes([]byte(values[f.r.IntN(len(values))]))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		f.fields(v)
	case reflect.Pointer:
		if f.r.IntN(2) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem())
		}
	case reflect.String:
		v.SetString(words[f.r.IntN(len(words))])
	case reflect.Bool:
		v.SetBool(f.r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -7, 1 << 40}[f.r.IntN(4)])
	case reflect.Uint64:
		v.SetUint([]uint64{0, 1, 1 << 63}[f.r.IntN(3)])
	case reflect.Float64:
		v.SetFloat([]float64{0, 0.2, 1e21}[f.r.IntN(3)])
	case reflect.Slice:
		f.slice(v)
	case reflect.Map:
		if f.r.IntN(2) == 0 {
			v.Set(reflect.ValueOf(map[string]string{words[f.r.IntN(len(words))]: words[f.r.IntN(len(words))]}))
		} else if f.r.IntN(2) == 0 {
			v.Set(reflect.ValueOf(map[string]string{}))
		}
	default:
		panic("no value for " + v.Type().String())
	}
}

func (f filler) fields(v reflect.Value) {
	for _, field := range v.Fields() {
		if f.r.IntN(3) > 0 {
			f.fill(field)
		}
	}
	if b, ok := reflect.TypeAssert[*wire.Backoff](v.Addr()); ok && f.r.IntN(2) == 0 {
		*b = wire.DefaultBackoff
	}
}

func (f filler) slice(v reflect.Value) {
	n := f.r.IntN(3)
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		f.fill(v.Index(i))
	}
}

func random[T any](f filler) *T {
	v := new(T)
	f.fill(reflect.ValueOf(v).Elem())
	return v
}

// What is written by hand is what the library writes, byte for byte.
func TestHandWrittenJSONIsTheLibrarys(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(1, 2))}
	for range 1000 {
		e := random[wire.Event](f)
		want, err := json.Marshal(e)
		require.NoError(t, err)
		got, err := e.AppendJSON([]byte("before"))
		require.NoError(t, err)
		require.Equal(t, "before"+string(want), string(got))

		r := random[wire.Record](f)
		want, err = json.Marshal(r)
		require.NoError(t, err)
		got, err = r.Encode()
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))

		env := random[wire.Envelope](f)
		want, err = wire.EncodeHTTP(env)
		require.NoError(t, err)
		require.Equal(t, string(want), string(env.Encode()))
	}
}

func TestEventsAreAnArray(t *testing.T) {
	t.Parallel()
	f := filler{rand.New(rand.NewPCG(3, 4))}
	for n := range 4 {
		events := make([]wire.Event, n)
		for i := range events {
			events[i] = *random[wire.Event](f)
		}
		want, err := json.Marshal(events)
		require.NoError(t, err)
		got, err := wire.EncodeEvents(events)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	t.Parallel()
	e := wire.Event{Event: wire.EventCompleted, Data: wire.EventData{Result: json.RawMessage(`{"a"`)}}
	_, err := e.AppendJSON(nil)
	require.Error(t, err)
	r := wire.Record{Result: json.RawMessage(`x`)}
	_, err = r.Encode()
	require.Error(t, err)
}
