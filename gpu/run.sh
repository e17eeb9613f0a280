#!/usr/bin/env bash
# Everything that only a GPU can show, for 13 minutes on one H100 or H200.
#
#     gpu/run.sh 1 OUT              correctness, then speed of SE-ResNet-50 (at most 5 minutes; stops at the first wrong number)
#     gpu/run.sh 2 OUT CIFAR10      ResNet-20 and ResNet-56 on CIFAR-10, plain and with SE, as many seeds as fit (8 minutes)
#     gpu/run.sh dry OUT            both, tiny, on embedded digits and the CPU: finds a mistake before a GPU is paid for
#
# Needs Python 3.12 with torch, triton, timm, torchvision, pyarrow, pytest; what else senet imports may lie as wheels in
# .whl/ (gpu/QUEUE.md says which). OUT gets logs, tables as JSON and results.jsonl; copy the printed tables to benchmarks/GPU.md.
set -euo pipefail
cd "$(dirname "$0")/.."
stage=${1:-} out=${2:-}
cifar=${3:-}
[ -n "$out" ] || { echo "gpu/run.sh: give a stage (1, 2 or dry) and a folder for the results: gpu/run.sh 1 out"; exit 2; }
case $stage in
    1 | dry) ;;
    2) [ -d "$cifar" ] || { echo "gpu/run.sh 2 $out: ${cifar:-nothing} is not the folder of CIFAR-10; give it as the third word."; exit 2; } ;;
    *) echo "gpu/run.sh: stage $stage is not known; choose 1, 2 or dry."; exit 2 ;;
esac
mkdir -p "$out"
export PYTHONUNBUFFERED=1 PYTHONPATH=src${PYTHONPATH:+:$PYTHONPATH}
PYTHON=${PYTHON:-python3}
if compgen -G '.whl/*.whl' >/dev/null; then
    "$PYTHON" -m pip install -q --no-index --no-deps --no-compile --upgrade --target "$out/wheels" .whl/*.whl
    export PYTHONPATH="$PYTHONPATH:$(realpath "$out/wheels")"
fi

device=cuda model=resnet50 timm=seresnet50 rounds=20
check=8,3,96,96 shape=64,3,224,224
epochs=30 jobs=8 seconds=(150 270)
train=()
if [ "$stage" = dry ]; then
    device=cpu model=resnet8 timm=seresnet18 rounds=1
    check=2,3,33,33 shape=2,3,32,32
    epochs=1 jobs=1 seconds=(60 60)
    train=(data.name=digits data.train_size=96 data.test_size=50 'seeds=[0]')
    export TORCH_COMPILE_DISABLE=1  # the compiler is torch's own; half a minute of it would show nothing of ours
fi

say() { printf '\n## %s\n' "$*"; }

facts() {
    say "$(date -u +%Y-%m-%dT%H:%MZ), commit $(git rev-parse --short HEAD 2>/dev/null || cat gpu/COMMIT 2>/dev/null || echo unknown)"
    "$PYTHON" gpu/facts.py --device "$device" | tee "$out/facts.json"
}

correctness() {
    say "tests marked gpu"
    if [ "$device" = cpu ]; then marks="gpu and not slow"; else marks=gpu; fi
    "$PYTHON" -m pytest -q -x -p no:cacheprovider -m "$marks" -o addopts= tests/fast/test_triton.py tests/training/test_gpu.py \
        tests/data/test_batches.py 2>&1 | tee "$out/pytest.txt" | tail -n 15
    say "fused against torch, both against float64"
    "$PYTHON" gpu/check.py --device "$device" --model "$model" --shape "$check" | tee "$out/check.txt"
}

speed() {
    for dtype in bfloat16 float32; do
        say "training step, $model $shape, $dtype, channels last"
        "$PYTHON" -m senet bench "$model" --device "$device" --shape "$shape" --dtype "$dtype" --rounds "$rounds" --timm "$timm" \
            --variant plain --variant "plain compiled" --variant se --variant "se accelerated" --variant "se compiled" -o "$out/train-$dtype"
        [ "$device" = cpu ] && break  # one type shows a typing error
    done
    for n in ${shape%%,*} 1; do
        say "inference, $model, batch $n, bfloat16, channels last"
        "$PYTHON" -m senet bench "$model" --mode infer --device "$device" --shape "$n,${shape#*,}" --dtype bfloat16 --rounds "$rounds" \
            --timm "$timm" -o "$out/infer-$n"
        [ "$device" = cpu ] && break
    done
}

evidence() {
    folder=(--data-dir "$cifar") graph=(--graph)
    [ "$stage" != dry ] || folder=() graph=()
    number=0
    for study in resnet20_cifar10 resnet56_cifar10; do
        say "$study: ${seconds[$number]} seconds"
        words=("studies/$study.toml" --runs "$out/runs" -o "$out/$study" "recipe.epochs=$epochs" "${train[@]}")
        # 75, 124 and 130: stopped by the clock and saved; what is complete is reported
        timeout -k 10 -s INT "${seconds[$number]}" "$PYTHON" -m senet run "${words[@]}" "${folder[@]}" --device "$device" -j "$jobs" \
            "${graph[@]}" || case $? in 75 | 124 | 130) ;; *) exit 1 ;; esac
        "$PYTHON" -m senet report "${words[@]}"
        cp "$out/$study/results.jsonl" "$out/$study.jsonl"
        number=$((number + 1))
    done
}

facts
case $stage in
    1) correctness; speed ;;
    2) evidence ;;
    dry) correctness; speed; evidence ;;
esac
