using Mirror.Storage.Stores;

namespace Mirror.Storage.GarbageCollection;

/// <summary>
/// Garbage collection: marks everything that the repositories name, then sweeps (deletes) the other content. It runs beside a server, in
/// its process or another one, and pushes go on meanwhile.
/// </summary>
/// <remarks>
/// <para>Why no acknowledged image ever breaks. A push (a) stores its blobs, (b) links and tags its manifest, (c) touches all of them
/// (<see cref="PushProtection"/>), and only then (d) is acknowledged. A sweep (1) reads the clock, which says T, (2) marks everything that
/// the names reach, (3) deletes content that is not marked and was not touched since T minus the grace. If content is touched
/// at T minus the grace or later, this touch and the deletion of the content by this sweep cannot both succeed: at least one of them fails
/// (<see cref="ISweepStore.SweepContentAsync"/>). In a folder, the deletion renames the content and then looks at its age once more. In a
/// bucket, a touch writes a claim, and the deletion looks for claims after it has condemned the content.</para>
/// <para>Take any content of an acknowledged push, and call C the time at which the push touched it. The content existed at C, so no sweep
/// had deleted it before. If C is at or after T, every deletion after C sees that touch and leaves the content. If C is before T, all names
/// of the push existed before T, so the mark phase after T found them. There is no third case. This holds however long either side takes or
/// stands still. C and T must come from the store's clock. If that is one clock, as in a folder, this holds for any grace, even zero. In a
/// bucket, the grace must be longer than the difference between the clocks of the store's machines. An eviction may run at the same time. A
/// sweep deletes only content that no name reaches. An eviction deletes only content that the server can fetch again from upstream.</para>
/// <para>Apart from the clocks of a bucket, this proof does not need the grace. The grace is for pushes that still run: a blob exists for a
/// while before a manifest names it. An upload, a mount and a HEAD touch the blob, so it stays for the time of the grace after that. A push
/// that takes longer is told which blob is missing, and sends it again.</para>
/// <para>No content is deleted after an incomplete mark phase: if the store fails to read content, the sweep ends. Four kinds of manifests
/// do not end the sweep: the stored bytes do not match the digest; the bytes are not valid JSON; a digest in it cannot be parsed; or it is
/// linked, not stored, and no copy from an upstream. Such a manifest does not show what it names, so all blobs of its repository stay until
/// it is repaired, pushed again or deleted.</para>
/// </remarks>
public sealed class Sweeper(IContentStore content, IReferenceStore references, ISweepStore store, IProvenanceStore provenance)
{
    /// <summary>Collects garbage once; null while another collection runs.</summary>
    /// <param name="progress">Gets a line for each step, in the words of <c>registry garbage-collect</c>.</param>
    public async Task<SweepResult?> SweepAsync(SweepOptions options, Action<string>? progress, CancellationToken cancellationToken)
    {
        await using var run = options.DryRun
            ? await store.BeginTrialAsync(cancellationToken)
            : await store.BeginAsync(cancellationToken);
        return run is null
            ? null
            : await new Sweep(content, references, store, provenance, options, run.Began, progress, cancellationToken).RunAsync();
    }
}
