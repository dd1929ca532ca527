package builtin

import (
	"context"
	"crypto/md5"  //nolint:gosec // the contract names it; not used for security here
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/batuta-tasks/batuta/shared/worker"
)

type hashInput struct {
	Text      *string `json:"text"`
	Path      *string `json:"path"`
	Algorithm string  `json:"algorithm"`
	Rounds    *int64  `json:"rounds"`
}

type hashResult struct {
	Digest string `json:"digest"`
}

var algorithms = map[string]func() hash.Hash{"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}

// hash digests a text or a file; round n digests the bytes of round n-1.
func (b *Types) hash(ctx context.Context, t *worker.Task) (any, error) {
	in := hashInput{Algorithm: "sha256"}
	if err := bind(t, &in); err != nil {
		return nil, err
	}
	if err := oneOf("text", in.Text != nil, "path", in.Path != nil); err != nil {
		return nil, err
	}
	algorithm, known := algorithms[in.Algorithm]
	if !known {
		return nil, refuse("payload.algorithm: %q: must be one of md5, sha1, sha256, sha512", in.Algorithm)
	}
	rounds := int64(1)
	if in.Rounds != nil {
		rounds = *in.Rounds
	}
	if rounds < 1 {
		return nil, refuse("payload.rounds: %d: must be 1 or more", rounds)
	}
	h := algorithm()
	if err := b.firstRound(ctx, t, h, &in); err != nil {
		return nil, err
	}
	digest, err := moreRounds(ctx, t, h, rounds)
	if err != nil {
		return nil, err
	}
	return hashResult{hex.EncodeToString(digest)}, nil
}

func (b *Types) firstRound(ctx context.Context, t *worker.Task, h hash.Hash, in *hashInput) error {
	if in.Text != nil {
		_, err := io.Copy(h, strings.NewReader(*in.Text))
		return err
	}
	src, done, err := b.source(ctx, t, in.Path, nil, 0)
	if err != nil {
		return err
	}
	defer done()
	if _, err := io.CopyBuffer(h, src, make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("hash %q: %w", *in.Path, err)
	}
	return nil
}

func moreRounds(ctx context.Context, t *worker.Task, h hash.Hash, rounds int64) ([]byte, error) {
	digest := h.Sum(nil)
	for n := int64(2); n <= rounds; n++ {
		if n%8192 == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			t.Progress(100*float64(n)/float64(rounds), fmt.Sprintf("round %d of %d", n, rounds))
		}
		h.Reset()
		h.Write(digest)
		digest = h.Sum(digest[:0])
	}
	return digest, nil
}
