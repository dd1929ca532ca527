package run

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How old a parcel is, the server's clock and this machine's tell together: ours may be behind.
func TestAParcelIsOldByTheClockThatIsAhead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	r := &Runner{cfg: Config{ParcelTrust: 15 * time.Second}, begun: now.Add(-time.Hour)}
	require.False(t, r.isOld(now.Add(-10*time.Second)))
	require.True(t, r.isOld(now.Add(-20*time.Second)))

	require.False(t, r.isOld(now.Add(60*time.Second)), "this one is fresh: the server is a minute ahead")
	require.False(t, r.isOld(now.Add(50*time.Second)), "ten seconds old")
	require.True(t, r.isOld(now.Add(40*time.Second)), "twenty seconds old")

	r = &Runner{cfg: Config{ParcelTrust: 15 * time.Second}, begun: now.Add(-5 * time.Second)}
	require.False(t, r.isOld(now.Add(-time.Second)))
	require.True(t, r.isOld(now.Add(-10*time.Second)), "stored before this pool heard anything")
}
