using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Mirror.Configuration;
using Mirror.PullThrough;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>
/// Reads all stored content and compares it with its digest (<c>mirror verify</c>). Memory does not grow with the store. Servers may use
/// the store meanwhile.
/// </summary>
public sealed class StoreVerifier(
    MirrorOptions options, [FromKeyedServices(CheckedContentStore.Unchecked)] IContentStore content, IReferenceStore references,
    ISweepStore sweepable, IProvenanceStore provenance, TimeProvider time)
{
    // Content that is used while it is read for the second time stays. A later try may delete the content of a busy image.
    private const int MaxTries = 3;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private readonly HostedNames _hosted = new(options);

    // The current step, which the timer of the progress reads.
    private volatile string _progress = "nothing read";
    private long _read;
    private long _total;

    /// <summary>What has been done, in words.</summary>
    public string Progress => _progress;

    /// <summary>The part of all bytes that was read, from 0 to 1; null until <see cref="CountBytesAsync"/> knows them.</summary>
    public double? Share => Volatile.Read(ref _total) is > 0 and var total ? Math.Min(1, (double)Volatile.Read(ref _read) / total) : null;

    /// <summary>Finds out how many bytes there are, while others are read already.</summary>
    public async Task CountBytesAsync(CancellationToken cancellationToken)
    {
        var total = 0L;
        await foreach (var (_, bytes, _) in sweepable.ListContentAsync(cancellationToken))
            total += bytes;
        Volatile.Write(ref _total, total);
    }

    /// <summary>Verifies all content, prints the names of damaged content, and with <paramref name="repair"/> deletes it.</summary>
    /// <param name="output">Gets a line for each blob or manifest that is damaged or could not be read, and a summary.</param>
    /// <param name="progress">Gets a line every ten seconds, also while a large file is read.</param>
    /// <returns>Whether everything could be read, no damage remains and every hosted image is whole.</returns>
    public async Task<bool> RunAsync(bool repair, TextWriter output, TextWriter progress, CancellationToken cancellationToken)
    {
        await using var lines = new ProgressLines(time, progress, () => _progress);

        // 1. Hash every byte.
        var (damaged, unread) = await FindDamagedAsync(output, cancellationToken);

        // 2. Delete the damaged content, so that the next push or fill stores it again.
        var remaining = repair ? await RemoveAsync(damaged, output, cancellationToken) : damaged.Count;

        // 3. Find the hosted images that need content which is damaged, or which is gone: a client has to push them again. Mirrored content
        // is fetched again after its deletion.
        var broken = await PrintBrokenAsync(damaged, output, cancellationToken);
        return unread == 0 && remaining == 0 && broken == 0;
    }

    private async Task<(HashSet<Digest> Damaged, long Unread)> FindDamagedAsync(TextWriter output, CancellationToken cancellationToken)
    {
        HashSet<Digest> damaged = [];
        var (count, bytes, done, unread) = (0L, 0L, 0L, 0L);
        await foreach (var digest in content.ListAsync(cancellationToken))
        {
            Volatile.Write(ref _read, done);
            var (state, size, problem) = await ReadAsync(
                digest, $"{Amount(count, bytes)} intact, {damaged.Count} damaged", cancellationToken);
            done += size;
            if (state is Verification.Intact)
                (count, bytes) = (count + 1, bytes + size);
            else if (state is null)
            {
                unread++;
                await output.WriteLineAsync($"could not be read: {digest}, {size} bytes: {problem}");
            }
            else if (state is Verification.Damaged && damaged.Add(digest))
                await output.WriteLineAsync($"damaged: {digest}, {size} bytes: {problem}");
        }
        var others = unread > 0 ? $", {unread} could not be read" : "";
        await output.WriteLineAsync($"{Amount(count, bytes)} intact, {damaged.Count} damaged{others}");
        return (damaged, unread);
    }

    // The state is null where the content could not be read. That does not tell whether it is damaged: the bucket may be busy, or this user
    // may not read the file.
    private async Task<(Verification? State, long Size, string Problem)> ReadAsync(
        Digest digest, string done, CancellationToken cancellationToken)
    {
        var size = 0L;
        try
        {
            if (await content.SizeAsync(digest, cancellationToken) is not { } stored)
                return (Verification.Absent, 0, "");
            size = stored;
            _progress = $"{done}; reading {digest}, {size} bytes";
            return (await content.VerifyAsync(digest, cancellationToken), size, "the bytes do not match the digest");
        }
        catch (IOException lost) when (lost.IsUnreadableDisk)
        {
            return (Verification.Damaged, size, lost.Message);
        }
        catch (Exception unreadable) when (unreadable.IsStoreFailure)
        {
            return (null, size, unreadable.Message);
        }
    }

    // Deletes damaged content, and returns how much of it remains. Content that is intact by now leaves the set.
    private async Task<int> RemoveAsync(HashSet<Digest> damaged, TextWriter output, CancellationToken cancellationToken)
    {
        var remaining = 0;
        foreach (var digest in damaged.ToList())
        {
            var (state, why) = await RemoveAsync(digest, cancellationToken);
            if (state is Verification.Intact)
                damaged.Remove(digest);
            else if (state is not Verification.Absent)
                remaining++;
            await output.WriteLineAsync(state is Verification.Absent ? $"removed: {digest}" : $"not removed: {digest}: {why}");
        }
        return remaining;
    }

    // Hours may have gone by since the content was read, and a client may have pushed it again. So the content is read once more, and goes
    // as in a garbage collection: only if nothing has touched it since before this second read.
    private async Task<(Verification? State, string Why)> RemoveAsync(Digest digest, CancellationToken cancellationToken)
    {
        for (var tries = 1; ; tries++)
        {
            await using var run = await BeginAsync(cancellationToken);
            var (state, _, problem) = await ReadAsync(digest, "removing damaged content", cancellationToken);
            if (state is not Verification.Damaged)
                return (state, state is null ? $"it could not be read again: {problem}" : "its bytes are right by now");
            if (await sweepable.SweepContentAsync(digest, run.Began - sweepable.MaxClockSkew, cancellationToken) is not null)
                return (Verification.Absent, "");
            if (tries == MaxTries)
                return (state, "a client or a server uses it at the moment; run the command again");
            await Task.Delay(Pause, time, cancellationToken);
        }
    }

    private async Task<SweepRun> BeginAsync(CancellationToken cancellationToken)
    {
        SweepRun? run;
        while ((run = await sweepable.BeginAsync(cancellationToken)) is null)
        {
            _progress = "removing damaged content; waiting for the end of a garbage collection";
            await Task.Delay(Pause, time, cancellationToken);
        }
        return run;
    }

    private async Task<int> PrintBrokenAsync(HashSet<Digest> damaged, TextWriter output, CancellationToken cancellationToken)
    {
        var count = 0;
        using var evidence = new CopyEvidence(provenance, time, NullLogger<CopyEvidence>.Instance);
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (_hosted.Contains(name))
            {
                _progress = $"looking for the images that need missing or damaged content: {name}";
                await foreach (var image in new HostedImages(
                    name, content, references, sweepable, provenance, evidence, damaged).BrokenAsync(cancellationToken))
                {
                    await output.WriteLineAsync($"broken: {image}; push it again");
                    count++;
                }
            }
        return count;
    }

    private static string Amount(long count, long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} files with {bytes / 1048576.0:F1} MiB");
}
