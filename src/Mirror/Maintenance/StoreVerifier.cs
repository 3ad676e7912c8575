using System.Globalization;
using Mirror.Configuration;
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
    ISweepStore sweepable, TimeProvider time)
{
    private readonly HostedNames _hosted = new(options);

    // The current step, which the timer of the progress reads.
    private volatile string _progress = "nothing read";
    private long _read;
    private long _total;

    /// <summary>What has been done, in words.</summary>
    public string Progress => _progress;

    /// <summary>The part of all bytes that was read, from 0 to 1; null until <see cref="MeasureAsync"/> knows them.</summary>
    public double? Share => Volatile.Read(ref _total) is > 0 and var total ? Math.Min(1, (double)Volatile.Read(ref _read) / total) : null;

    /// <summary>Finds out how many bytes there are, while others are read already.</summary>
    public async Task MeasureAsync(CancellationToken cancellationToken)
    {
        var total = 0L;
        await foreach (var (_, bytes, _) in sweepable.ListContentAsync(cancellationToken))
            total += bytes;
        Volatile.Write(ref _total, total);
    }

    /// <summary>Verifies all content, prints the names of damaged content, and with <paramref name="repair"/> deletes it.</summary>
    /// <param name="output">Gets a line for each damaged blob or manifest, and a summary.</param>
    /// <param name="progress">Gets a line every ten seconds, also while a large file is read.</param>
    /// <returns>Whether no damage remains and every hosted image is whole.</returns>
    public async Task<bool> RunAsync(bool repair, TextWriter output, TextWriter progress, CancellationToken cancellationToken)
    {
        await using var lines = new ProgressLines(time, progress, () => _progress);

        // 1. Hash every byte.
        var damaged = await FindDamagedAsync(output, cancellationToken);

        // 2. Find the hosted images that need content which is damaged, or which is gone: a client has to push them again. Mirrored content
        // is fetched again after its deletion.
        var broken = await PrintBrokenAsync(damaged, output, cancellationToken);

        // 3. Delete the damaged content, so that the next push or fill stores it again.
        if (repair)
            foreach (var digest in damaged)
                if (await content.DeleteAsync(digest, cancellationToken))
                    await output.WriteLineAsync($"removed: {digest}");
        return broken == 0 && (damaged.Count == 0 || repair);
    }

    private async Task<HashSet<Digest>> FindDamagedAsync(TextWriter output, CancellationToken cancellationToken)
    {
        HashSet<Digest> damaged = [];
        var (count, bytes, done) = (0L, 0L, 0L);
        await foreach (var digest in content.ListAsync(cancellationToken))
        {
            Volatile.Write(ref _read, done);
            var size = await content.SizeAsync(digest, cancellationToken);
            done += size ?? 0;
            _progress = $"{Amount(count, bytes)} intact, {damaged.Count} damaged; reading {digest}, {size} bytes";
            if (size is null || await DamageAsync(digest, cancellationToken) is not { } damage)
                (count, bytes) = (count + 1, bytes + (size ?? 0));
            else if (damaged.Add(digest))
                await output.WriteLineAsync($"damaged: {digest}, {size} bytes: {damage}");
        }
        await output.WriteLineAsync($"{Amount(count, bytes)} intact, {damaged.Count} damaged");
        return damaged;
    }

    private async Task<string?> DamageAsync(Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            var state = await content.VerifyAsync(digest, cancellationToken);
            return state == Verification.Damaged ? "the bytes do not match the digest" : null;
        }
        catch (Exception unreadable) when (unreadable.IsStoreFailure)
        {
            return unreadable.Message;
        }
    }

    private async Task<int> PrintBrokenAsync(HashSet<Digest> damaged, TextWriter output, CancellationToken cancellationToken)
    {
        var count = 0;
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (_hosted.Contains(name))
            {
                _progress = $"looking for the images that need missing or damaged content: {name}";
                await foreach (var image in new HostedImages(name, content, references, sweepable, damaged).BrokenAsync(cancellationToken))
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
