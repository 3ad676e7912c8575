using System.Buffers;
using Mirror.Limits;
using Mirror.PullThrough;
using Mirror.PullThrough.Fills;
using Mirror.Registry;
using Mirror.Repositories;
using Mirror.Storage;
using Mirror.Storage.Stores;
using Mirror.Telemetry;
using Mirror.Upstream;

namespace Mirror.Admin;

/// <summary>
/// Fetches images from upstream before clients ask for them. What is stored already is not fetched again, so a run that was interrupted can
/// be repeated, and continues where it stopped. The last pulls of an account's rate limit are kept for clients.
/// </summary>
public sealed class Warmer(RepositoryResolver repositories, UpstreamSelector upstreams, RunningFills fills, IContentStore stored,
    ImageReader reader)
{
    /// <summary>The platform of an index that is fetched where none is chosen.</summary>
    public const string DefaultPlatform = "linux/amd64";

    /// <summary>Stands for every platform of an index.</summary>
    public const string EveryPlatform = "all";

    private const int BufferSize = 1 << 20;

    // A bar moves on at least this often.
    private const long ReportEvery = 8 << 20;

    /// <summary>Whether a text can name a platform, or is <see cref="EveryPlatform"/>.</summary>
    public static bool IsPlatform(string? text) =>
        text == EveryPlatform || text?.Split('/') is [{ Length: > 0 } os, { Length: > 0 } architecture]
            && (os + architecture).All(each => char.IsAsciiLetterOrDigit(each) || each is '_' or '-' or '.');

    /// <summary>Fetches one image. Never throws because of the image or its upstream.</summary>
    /// <param name="image">A repository and a tag or a digest; without one, the tag is <c>latest</c>.</param>
    /// <param name="text">The image as the caller wrote it, for the progress.</param>
    /// <param name="platforms">The platforms to fetch. Null: of an index <see cref="DefaultPlatform"/>; another image is fetched whatever
    /// its platform is.</param>
    /// <param name="report">Gets the progress, and at last the outcome.</param>
    /// <exception cref="OperationCanceledException">The caller does not wait any longer.</exception>
    public async Task RunAsync(
        ImageName image, string text, IReadOnlyCollection<string>? platforms, Func<WarmProgress, ValueTask> report,
        CancellationToken stop)
    {
        var progress = new WarmProgress(text, WarmState.Running, 0, 0, 0, null);
        try
        {
            progress = await FetchAsync(image, progress, platforms, report, stop);
        }
        catch (UpstreamLimitedException limited)
        {
            progress = progress with { State = WarmState.Left, Reason = limited.Message };
        }
        catch (Exception failure) when (
            failure is UpstreamException or BusyException or RegistryException or NewTagHeldException || failure.IsStoreFailure)
        {
            progress = progress with { State = WarmState.Failed, Reason = failure.Message };
        }
        await report(progress);
    }

    private async Task<WarmProgress> FetchAsync(
        ImageName image, WarmProgress progress, IReadOnlyCollection<string>? platforms, Func<WarmProgress, ValueTask> report,
        CancellationToken stop)
    {
        // 1. The manifests. Each that is not stored is a pull for upstream.
        if (!repositories.IsMirrored(image.Name) || upstreams.Find(image.Name) is not { } mirror)
            return progress with { State = WarmState.Failed, Reason = $"{image.Name} is not mirrored" };
        if (mirror.Upstream.HasFewPullsLeft)
            return Left();
        var repository = repositories[image.Name];
        if (await repository.GetManifestAsync(image.Reference ?? Reference.Parse("latest"), stop) is not { } root)
            return progress with { State = WarmState.Failed, Reason = "upstream does not have it" };
        Dictionary<Digest, long> blobs = [];
        var document = ManifestDocument.Read(root.Value.Bytes.Span);
        AddBlobs(document);
        var children = document?.Manifests.Where(child => IsWanted(child.Platform, platforms ?? [DefaultPlatform])).ToList() ?? [];
        if (document?.IsIndex == true && children is [])
            return progress with
            {
                State = WarmState.Failed,
                Reason = $"it has no image for {string.Join(", ", platforms ?? [DefaultPlatform])}",
            };
        foreach (var child in children)
        {
            if (mirror.Upstream.HasFewPullsLeft)
                return Left();
            if (await repository.GetManifestAsync(child.Digest, stop) is not { } manifest)
                return progress with { State = WarmState.Failed, Reason = $"upstream does not have its manifest {child.Digest}" };
            AddBlobs(ManifestDocument.Read(manifest.Value.Bytes.Span));
        }

        // 2. An image for one platform says in its config which one that is.
        if (platforms?.Contains(EveryPlatform) == false && document is { IsIndex: false }
            && document.Config is { } config)
        {
            // Step 3 counts its bytes again.
            progress = await FetchBlobAsync(repository, config.Digest, progress, report, stop) with { Done = 0 };
            if (await reader.PlatformAsync(config.Digest, stop) is { } platform && !platforms.Contains(platform))
                return progress with
                {
                    State = WarmState.Failed,
                    Reason = $"it has no image for {string.Join(", ", platforms)}, but only for {platform}",
                };
        }

        // 3. The config and the layers.
        progress = progress with { Total = blobs.Values.Total() };
        foreach (var (digest, size) in blobs)
        {
            var before = progress;
            progress = await FetchBlobAsync(repository, digest, progress, report, stop);
            progress = progress with { Done = before.Done + size };
            await report(progress);
        }
        return progress with { State = progress.Fetched == 0 ? WarmState.Present : WarmState.Done };

        WarmProgress Left() => progress with
        {
            State = WarmState.Left,
            Reason = $"few pulls are left of the rate limit of {mirror.Upstream.Origin.Authority}, and they are kept for clients",
        };

        void AddBlobs(ManifestDocument? manifest)
        {
            foreach (var blob in manifest?.Blobs.Where(blob => !blob.IsElsewhere) ?? [])
                blobs[blob.Digest] = blob.Size ?? 0;
        }
    }

    private async Task<WarmProgress> FetchBlobAsync(
        IRepository repository, Digest digest, WarmProgress progress, Func<WarmProgress, ValueTask> report, CancellationToken stop)
    {
        if (await repository.OpenBlobAsync(digest, ignoreLease: false, stop) is not { } answer)
            throw new RegistryException(RegistryError.BlobUnknown, $"upstream does not have its blob {digest}");
        await using var content = answer.Value;
        if (answer.CacheStatus?.IsHit == true)
            return progress;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            await content.PrepareAsync(0, content.Length ?? long.MaxValue, stop);
            var (offset, reported) = (0L, 0L);
            while (await content.ReadAsync(offset, buffer, stop) is > 0 and var read)
            {
                offset += read;
                progress = progress with { Done = progress.Done + read, Fetched = progress.Fetched + read };
                if (offset - reported < ReportEvery)
                    continue;
                reported = offset;
                await report(progress);
            }
            // The last bytes came when the digest was verified. The blob is stored after that.
            await fills.WhenEndedAsync(digest, stop);
            if (await stored.SizeAsync(digest, stop) is null)
                throw new IOException($"its blob {digest} could not be stored: proxy.max_size or the disk has no room for it");
            return progress;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool IsWanted(ManifestPlatform? platform, IReadOnlyCollection<string> wanted) =>
        wanted.Contains(EveryPlatform)
        || platform is { Os: { } os, Architecture: { } architecture } && wanted.Contains($"{os}/{architecture}", StringComparer.Ordinal);
}

/// <summary>How far the fetch of an image is.</summary>
public enum WarmState
{
    Running,

    /// <summary>It is stored now.</summary>
    Done,

    /// <summary>It was stored already.</summary>
    Present,

    /// <summary>It is left for a later run: upstream answered 429, or the few pulls that are left are kept for clients.</summary>
    Left,

    /// <summary>It cannot be fetched.</summary>
    Failed,
}

/// <summary>The progress of one image.</summary>
/// <param name="Done">Bytes of its config and layers that are stored or have arrived, of <paramref name="Total"/>.</param>
/// <param name="Fetched">Bytes that this run downloaded.</param>
/// <param name="Reason">Why it is left or failed.</param>
public sealed record WarmProgress(string Image, WarmState State, long Done, long Total, long Fetched, string? Reason);
