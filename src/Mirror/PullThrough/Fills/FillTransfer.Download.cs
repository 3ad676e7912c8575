using System.Buffers;
using Mirror.Storage;
using Mirror.Storage.Spooling;
using Mirror.Upstream;

namespace Mirror.PullThrough.Fills;

// How the bytes come from upstream, and how they get into the spool.
internal sealed partial class FillTransfer
{
    private async Task<Spool?> DownloadAsync(FillTurn turn)
    {
        var (origin, stop) = (turn.Origin, turn.Stop);
        // 1. Look into the store again. An earlier owner of the lease may have stored the blob meanwhile.
        await using (var stored = await content.OpenAsync(digest, stop))
            if (stored is not null)
            {
                if (Spool is not null)
                    await CopyAsync(stored, Spool, turn);
                return Spool;
            }

        // 2. Open a spool, unless an earlier attempt has one. Keep what an earlier fill left in it, if that is not longer than the blob.
        // It may even be the whole blob, if that fill ended before the commit.
        if (Spool is null)
        {
            Spool = await content.SpoolAsync(digest, stop);
            _isInherited = Spool.Length > 0;
        }
        turn.Resume();
        if (_isInherited)
        {
            var size = await SizeForInheritedAsync(origin, Spool, stop);
            _isInherited = false;
            if (size >= Spool.Length)
            {
                LogResumed(digest.ToString(), Spool.Length);
                Spool.Continue();
            }
            else
                Spool.Reset();
            if (size == Spool.Length)
            {
                Spool.ExpectedLength ??= size;
                AdmitEarly(Spool);
                return Spool;
            }
        }

        // 3. Download the rest.
        await using var body = await origins.OpenAsync(origin, Spool.Length, stop);
        try
        {
            await CopyAsync(body, Spool, turn);
            if (!origin.IsProved && !origins.HaveAdmitted && !await Spool.VerifyAsync(digest, stop))
                throw new UpstreamUnavailableException($"{Authority} sent a web page instead of {digest}.");
            origin.IsProved = true;
            return Spool;
        }
        catch when (!origin.IsProved && !origins.HaveAdmitted)
        {
            // The bytes may be part of a web page: neither another origin nor a later fill may continue after them.
            Spool.Reset();
            throw;
        }
    }

    // The length of the blob, of which the spool has bytes of an earlier fill; null if the blob has to be downloaded from its first byte.
    private async Task<long?> SizeForInheritedAsync(FillOrigin origin, Spool spool, CancellationToken stop)
    {
        try
        {
            var size = await origin.Source.HeadAsync(origin.Name, digest, stop);
            origin.IsProved = true;
            return size;
        }
        // The label may be wrong: then only the digest of all bytes tells. What is not longer than the spool is a page; the spool stays.
        catch (UpstreamUnavailableException page) when (page.PageLength > spool.Length && !origins.HaveAdmitted)
        {
            return null;
        }
    }

    private async Task CopyAsync(Content body, Spool spool, FillTurn turn)
    {
        if (!origins.HaveAdmitted)
            spool.ExpectedLength = body.Length ?? spool.ExpectedLength;
        else if (body.Length is { } length && spool.ExpectedLength is { } promised && length != promised)
            // Clients have already got the promised length in their headers. No byte of this body is in the spool, so another origin can
            // go on.
            throw new UpstreamUnavailableException($"{Sender} says that {digest} has {length} bytes, another source said {promised}.");
        if (body is UpstreamContent upstream)
            upstream.IsWhole = stop => spool.HasDigestAsync(digest, stop);
        var (buffer, isFirst) = (ArrayPool<byte>.Shared.Rent(BufferSize), true);
        try
        {
            while (true)
            {
                turn.Resume();
                // Up to the next multiple of the buffer size: writing whole pages costs the file system half as much.
                var reading = body.ReadAsync(spool.Length, buffer.AsMemory(0, BufferSize - (int)(spool.Length % BufferSize)), turn.Stop);
                // Usually the first bytes arrive with the headers, and readers are admitted after them. If no byte has arrived yet, admit
                // readers now, so that the server can already send headers to the clients.
                if (!reading.IsCompleted)
                    AdmitEarly(spool);
                var read = await reading;
                turn.Pause();
                if (read == 0)
                    break;
                if (turn.Origin.Source.MaxLength(body, turn.Origin.Name, digest) is var max && spool.Length + read > max)
                    throw new DigestMismatchException($"{Sender} sent more than {max} bytes for {digest}.");
                spool.Append(buffer.AsSpan(0, read));
                Received += read;
                turn.Received(read);
                for (; MustYield?.Invoke() == true && _yields < MaxYields; _yields++)
                    await Task.Delay(YieldInterval, time, turn.Stop);
                if (isFirst && AdmitEarly(spool))
                {
                    isFirst = false;
                    // Readers' continuations were just queued on this thread. Yield, or they would run only when the next read blocks.
                    await Task.Yield();
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // Readers get the last 4 KiB only after the digest is verified. So clients of content of at most 4 KiB wait for their headers too: if
    // the digest is wrong, they get an error. Clients also wait while the origin's answer may be an HTML page, such as a login page.
    private bool AdmitEarly(Spool spool)
    {
        if (!origins.Current.IsProved || !(spool.ExpectedLength > Spool.TailLength || spool.Length > Spool.TailLength))
            return false;
        origins.AdmitClients();
        return true;
    }
}
