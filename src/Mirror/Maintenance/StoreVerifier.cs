using System.Globalization;
using Mirror.Configuration;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;

namespace Mirror.Maintenance;

/// <summary>
/// Reads everything that is stored once more and compares it with its digest. Memory does not grow with the store, and a server may be running on it.
/// </summary>
public sealed class StoreVerifier(MirrorOptions options, IContentStore content, IReferenceStore references, TimeProvider time)
{
    private static readonly TimeSpan ReportEvery = TimeSpan.FromSeconds(10);

    private readonly NamePattern[] _hosted = [.. options.Hosted.Repositories.Select(pattern => new NamePattern(pattern))];

    /// <summary>Verifies, says what is wrong, and with <paramref name="repair"/> removes it.</summary>
    /// <param name="output">A line for each finding, and one at the end.</param>
    /// <param name="progress">How far it has got.</param>
    /// <returns>Whether all is well now: nothing damaged remains, and no hosted image lacks anything for it.</returns>
    public async Task<bool> RunAsync(bool repair, TextWriter output, TextWriter progress, CancellationToken cancellationToken)
    {
        // 1. Every byte.
        var damaged = await FindDamagedAsync(output, progress, cancellationToken);

        // 2. What that breaks. Mirrored images mend themselves once the damage is out of the way; hosted ones have to be pushed again.
        var broken = damaged.Count == 0 ? [] : await FindBrokenAsync(damaged, cancellationToken);
        foreach (var image in broken)
            await output.WriteLineAsync($"broken: {image}, which has to be pushed again");

        // 3. Out of the way: a push or a download finds nothing there, and brings it anew.
        if (repair)
            foreach (var digest in damaged)
                if (await content.DeleteAsync(digest, cancellationToken))
                    await output.WriteLineAsync($"removed: {digest}");
        return damaged.Count == 0 || repair && broken.Count == 0;
    }

    private async Task<HashSet<Digest>> FindDamagedAsync(TextWriter output, TextWriter progress, CancellationToken cancellationToken)
    {
        HashSet<Digest> damaged = [];
        var (count, bytes, reported) = (0L, 0L, time.GetTimestamp());
        await foreach (var digest in content.ListAsync(cancellationToken))
        {
            var size = await content.SizeAsync(digest, cancellationToken);
            if (size is null || await WhatIsWrongAsync(digest, cancellationToken) is not { } wrong)
                (count, bytes) = (count + 1, bytes + (size ?? 0));
            else if (damaged.Add(digest))
                await output.WriteLineAsync($"damaged: {digest}, {size} bytes: {wrong}");
            if (time.GetElapsedTime(reported) < ReportEvery)
                continue;
            reported = time.GetTimestamp();
            await progress.WriteLineAsync($"so far {Amount(count, bytes)} good, {damaged.Count} damaged");
        }
        await output.WriteLineAsync($"{Amount(count, bytes)} good, {damaged.Count} damaged");
        return damaged;
    }

    private async Task<string?> WhatIsWrongAsync(Digest digest, CancellationToken cancellationToken)
    {
        try
        {
            return await content.VerifyAsync(digest, cancellationToken) == Verification.Damaged ? "other bytes than its digest names" : null;
        }
        catch (Exception unreadable) when (unreadable.IsStoreFailure)
        {
            return unreadable.Message;
        }
    }

    private async Task<List<string>> FindBrokenAsync(HashSet<Digest> damaged, CancellationToken cancellationToken)
    {
        List<string> broken = [];
        await foreach (var name in references.ListRepositoriesAsync(cancellationToken))
            if (IsHosted(name))
                foreach (var tag in await references.ListTagsAsync(name, cancellationToken))
                    if (await references.ResolveTagAsync(name, tag, cancellationToken) is { } digest && await NeedsAsync(digest, damaged, cancellationToken))
                        broken.Add($"{name}:{tag}");
        return broken;
    }

    // Indexes may share children: each manifest is read once.
    private async Task<bool> NeedsAsync(Digest image, HashSet<Digest> damaged, CancellationToken cancellationToken)
    {
        HashSet<Digest> seen = [image];
        Queue<Digest> manifests = new(seen);
        while (manifests.TryDequeue(out var manifest))
        {
            if (damaged.Contains(manifest))
                return true;
            var (_, bytes) = await content.ReadAllAsync(manifest, Manifest.MaxBytes, cancellationToken);
            if (ManifestDocument.Read(bytes) is not { } named)
                continue;
            if (named.Blobs.Any(blob => damaged.Contains(blob.Digest)))
                return true;
            foreach (var child in named.Manifests.Select(entry => entry.Digest).Where(seen.Add))
                manifests.Enqueue(child);
        }
        return false;
    }

    private bool IsHosted(RepositoryName name) =>
        options.Proxy.RemoteUrl is null && options.Proxy.Upstreams.Length == 0 || NamePattern.AnyMatches(_hosted, name.ToString());

    private static string Amount(long count, long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{count} files with {bytes / 1048576.0:F1} MiB");
}
